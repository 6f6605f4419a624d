package serve

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"golang.org/x/time/rate"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/serve/heard"
)

// quotas limit what each identity uses of the server, over all its proxies and connections. They have a lock of their
// own, because connections begin and end while the server is busy.
type quotas struct {
	metrics *metrics

	mu     sync.Mutex
	limits ir.ServerLimits
	of     map[spiffeid.ID]*quota
}

// quota is what one identity uses of the server.
type quota struct {
	connections, instances uint32
	lines                  *rate.Limiter
	omitted                int // lines that were not written since the last one that was
}

func newQuotas(m *metrics) *quotas {
	return &quotas{metrics: m, limits: ir.ServerLimits{}.InForce(), of: map[spiffeid.ID]*quota{}}
}

// set takes over the limits of a mesh. An identity that is already above a limit keeps what it has, and gets nothing
// more.
func (q *quotas) set(l ir.ServerLimits) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.limits = l.InForce()
	for _, had := range q.of {
		had.lines.SetLimit(rate.Limit(q.limits.LogLines))
		had.lines.SetBurst(linesAtOnce(q.limits))
	}
}

// inForce returns the limits of the mesh that is served, or the defaults before there is one.
func (q *quotas) inForce() ir.ServerLimits {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.limits
}

// linesAtOnce is how many lines may be written at once: those of ten seconds.
func linesAtOnce(l ir.ServerLimits) int { return 10 * int(l.LogLines) }

func (q *quotas) get(id spiffeid.ID) *quota {
	had := q.of[id]
	if had == nil {
		had = &quota{lines: rate.NewLimiter(rate.Limit(q.limits.LogLines), linesAtOnce(q.limits))}
		q.of[id] = had
	}
	return had
}

// connect counts a connection of the identity, or returns an error if the limit is reached. [quotas.disconnect] is
// its counterpart.
func (q *quotas) connect(id spiffeid.ID) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	had := q.get(id)
	if had.connections >= q.limits.Connections {
		q.metrics.limitedConnections.Inc()
		return fmt.Errorf("%s has %d connections, which is the limit (mesh.server.limits.connections)", id,
			had.connections)
	}
	had.connections++
	return nil
}

func (q *quotas) disconnect(id spiffeid.ID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.get(id).connections--
}

// join counts an instance of the identity, or returns an error if the limit is reached. [quotas.leave] is its
// counterpart.
func (q *quotas) join(id spiffeid.ID) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	had := q.get(id)
	if had.instances >= q.limits.Instances {
		q.metrics.limited.Inc()
		return fmt.Errorf("%s has %d instances, which is the limit (mesh.server.limits.instances)", id, had.instances)
	}
	had.instances++
	return nil
}

func (q *quotas) leave(id spiffeid.ID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.get(id).instances--
}

// holders returns how many holders of certificates of one identity are recorded: the limit of its instances.
func (q *quotas) holders() int {
	return int(q.inForce().Instances)
}

// refusal shortens a proxy's message to the length that is stored.
func (q *quotas) refusal(reason string) string {
	return heard.Text(reason, int(q.inForce().RefusalBytes))
}

// forget removes identities that use nothing of the server any more, and logs how many log lines about the others
// were suppressed.
func (q *quotas) forget(log *slog.Logger) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for id, had := range q.of {
		full := had.lines.Tokens() >= float64(linesAtOnce(q.limits))-1
		if had.omitted > 0 && full {
			log.Warn("log lines about an identity were left out", "identity", id, "lines", had.omitted)
			had.omitted = 0
		}
		if had.connections == 0 && had.instances == 0 && full {
			delete(q.of, id)
		}
	}
}

// logger returns a logger that writes no more lines about the identity than its limit allows.
func (q *quotas) logger(log *slog.Logger, id spiffeid.ID) *slog.Logger {
	return slog.New(&boundedHandler{log.Handler(), q, id})
}

// boundedHandler writes what the quota of an identity allows.
type boundedHandler struct {
	slog.Handler
	quotas *quotas
	id     spiffeid.ID
}

// Handle is that of slog.Handler.
func (h *boundedHandler) Handle(ctx context.Context, r slog.Record) error {
	h.quotas.mu.Lock()
	had := h.quotas.get(h.id)
	allowed, omitted := had.lines.Allow(), had.omitted
	if allowed {
		had.omitted = 0
	} else {
		had.omitted++
	}
	h.quotas.mu.Unlock()
	if !allowed {
		h.quotas.metrics.omittedLines.Inc()
		return nil
	}
	if omitted > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("omitted", omitted))
	}
	return h.Handler.Handle(ctx, r)
}
