package serve

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"golang.org/x/time/rate"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
)

// taps show operators requests as proxies end them. It has a lock of its own, and calls the live mesh and the quotas
// alone.
type taps struct {
	layers  // has the lock
	live    *liveMesh
	metrics *metrics

	active map[*tap]bool
	// turn counts the taps that began and ended.
	turn uint64
	// bounds are of the lines of each proxy, while there are taps; of is how many proxies of an identity have one.
	bounds map[reportingKey]*rate.Limiter
	of     map[spiffeid.ID]int
}

// A proxy ends a tap by itself when it has heard nothing of it for tapTTL: the server is gone, or cannot be reached.
// Until then it is told once more every tapRefresh.
const (
	tapTTL     = 30 * time.Second
	tapRefresh = 10 * time.Second
)

// Bounds of taps.
const (
	maxTaps  = 16   // at once
	maxLines = 1000 // that wait for an operator to take them
)

// tap is what one operator looks at.
type tap struct {
	*tapped
	turn  uint64 // that it began at
	lines chan *TapEvent
	// acks says that a proxy has taken something, left how many lines were left out since it was last told.
	acks chan struct{}
	left atomic.Uint64
}

func newTaps(s *Server) *taps {
	t := &taps{
		layers: newLayers(s, envoy.TapLayer, tapRefresh), live: s.live, metrics: s.metrics, active: map[*tap]bool{},
		bounds: map[reportingKey]*rate.Limiter{}, of: map[spiffeid.ID]int{},
	}
	t.compose, t.taken = t.layer, t.changedAcks
	return t
}

// follow shows an operator the requests until the context ends. It returns when he is not an operator any more. The
// function may says whether he is one of that mesh.
func (t *taps) follow(ctx context.Context, operator string, may func(*ir.Operators) bool, r *TapRequest,
	send func(*TapEvent) error,
) error {
	m := t.live.now().mesh
	if m == nil {
		return status.Error(codes.Unavailable, "no mesh is loaded yet")
	}
	if !may(m.Operators) {
		t.metrics.tapsRefused.Inc()
		t.log.Warn("a tap was refused: not an operator", "operator", operator, "from", r.From, "to", r.To)
		return status.Errorf(codes.PermissionDenied, "%s is not an operator of the mesh %s (mesh.operators)", operator,
			m.Name)
	}
	what, err := r.resolve(m)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	mine, err := t.begin(what)
	if err != nil {
		return status.Error(codes.ResourceExhausted, err.Error())
	}
	shown := 0
	t.log.Info("tap begins", "operator", operator, "tap", what.String())
	defer func() {
		t.end(mine)
		t.log.Info("tap ends", "operator", operator, "tap", what.String(), "lines", shown)
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for ready := false; ; {
		if !ready {
			var proxies int
			if proxies, ready = t.ready(mine); ready {
				if err := send(&TapEvent{Tapped: &proxies}); err != nil {
					return err
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-mine.acks:
		case event := <-mine.lines:
			shown++
			t.metrics.tapLines.Inc()
			if err := send(event); err != nil {
				return err
			}
		case <-tick.C:
			if m := t.live.now().mesh; m == nil || !may(m.Operators) {
				return status.Errorf(codes.PermissionDenied, "%s is not an operator any more", operator)
			}
			if n := mine.left.Swap(0); n > 0 {
				t.metrics.tapOmitted.Add(float64(n))
				if err := send(&TapEvent{Omitted: n}); err != nil {
					return err
				}
			}
		}
	}
}

func (t *taps) begin(what *tapped) (*tap, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.active) >= maxTaps {
		return nil, fmt.Errorf("%d operators tap at once, which is the limit", maxTaps)
	}
	t.turn++
	out := &tap{tapped: what, turn: t.turn, lines: make(chan *TapEvent, maxLines), acks: make(chan struct{}, 1)}
	t.active[out] = true
	t.changed()
	t.metrics.tapsBegun.Inc()
	return out, nil
}

func (t *taps) end(over *tap) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn++
	delete(t.active, over)
	if len(t.active) == 0 {
		clear(t.bounds)
		clear(t.of)
	}
	t.changed()
}

// changed has every proxy's runtime looked at. It is called with the lock held, as are those below.
func (t *taps) changed() {
	t.metrics.taps.Set(float64(len(t.active)))
	t.layers.changed()
}

// changedAcks has every tap look whether all of its proxies know of it.
func (t *taps) changedAcks() {
	for one := range t.active {
		signal(one.acks)
	}
}

// ready reports how many proxies show a tap what it looks at, and whether all of them know of it.
func (t *taps) ready(mine *tap) (proxies int, ready bool) {
	m := t.live.now().mesh
	t.mu.Lock()
	defer t.mu.Unlock()
	ready = true
	for p := range t.proxies {
		if len(mine.keys(m, p)) > 0 {
			proxies++
			ready = ready && p.acked >= mine.turn
		}
	}
	return proxies, ready
}

// layer is the runtime of a proxy, empty while nobody taps it, and the turn that it is of.
func (t *taps) layer(p *layered) (layer map[string]any, ttl time.Duration, turn uint64) {
	m := t.live.now().mesh
	t.mu.Lock()
	defer t.mu.Unlock()
	layer = map[string]any{}
	from, to := envoy.TapMaxStatus, 0
	for one := range t.active {
		keys := one.keys(m, p)
		for _, key := range keys {
			layer[key] = 100 // percent
		}
		if len(keys) > 0 {
			from, to = min(from, one.status.from), max(to, one.status.to)
		}
	}
	if len(layer) > 0 {
		layer[envoy.TapStatusFrom], layer[envoy.TapStatusTo] = from, to
	}
	return layer, tapTTL, t.turn
}

// omitted counts lines that a proxy left out itself.
func (t *taps) omitted(kind ir.MemberKind, name string, identity spiffeid.ID, lines uint64) {
	m := t.live.now().mesh
	t.mu.Lock()
	defer t.mu.Unlock()
	for one := range t.active {
		if len(one.keys(m, &layered{identity: identity, kind: kind, name: name})) > 0 {
			one.left.Add(lines)
		}
	}
}

// any reports whether somebody taps.
func (t *taps) any() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.active) > 0
}
