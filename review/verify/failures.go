package verify

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/review/values"
)

// Failures is what real Envoys did in the failures for which a mesh has settings.
type Failures struct {
	Mesh    string `json:"mesh"`
	Proxies int    `json:"proxies"`
	// Modes are sorted by where they are written.
	Modes []*Mode       `json:"modes"`
	Time  time.Duration `json:"nanoseconds"`
}

// Mode is a failure for which a setting says what happens, and what did.
type Mode struct {
	// Setting is the field of the language, "retries.attempts", and Value what it says.
	Setting string          `json:"setting"`
	Value   string          `json:"value"`
	Pos     source.Position `json:"source"`
	Verdict Verdict         `json:"verdict"`
	// Way is the edge on which it was provoked, and Text what happened there, or why nothing did.
	Way  string `json:"edge,omitempty"`
	Text string `json:"text"`
}

// Verdict is what provoking a failure showed.
type Verdict string

// The verdicts.
const (
	// Behaves is a setting that does what it says.
	Behaves Verdict = "behaves"
	// Otherwise is one with which something else happens than it says.
	Otherwise Verdict = "otherwise"
	// NoEffect is one that changes nothing.
	NoEffect Verdict = "no effect"
	// NotProvoked is one whose failure cannot be provoked on this machine, or takes too long.
	NotProvoked Verdict = "not provoked"
)

// FailureOptions say how failures are provoked.
type FailureOptions struct {
	// Envoy is the binary; empty for what [local.Envoy] finds.
	Envoy string
	// Outside is a reviewed tree, of which no program is run; empty for none.
	Outside string
	// Longest is how long a request may take; 0 for [DefaultLongest].
	Longest time.Duration
}

// DefaultLongest is how long a request may take that is to show a timeout.
const DefaultLongest = 12 * time.Second

// Found are the modes that are findings: those that behave otherwise, or have no effect.
func (f *Failures) Found() (n int) {
	return f.count(Otherwise) + f.count(NoEffect)
}

func (f *Failures) count(v Verdict) (n int) {
	for _, m := range f.Modes {
		if m.Verdict == v {
			n++
		}
	}
	return n
}

// Provoke has the applications of a mesh that runs on this machine fail in each way for which the mesh has settings,
// and compares what callers get with what the settings say. An error is of what they run in.
func Provoke(ctx context.Context, m *ir.Mesh, o FailureOptions) (*Failures, error) {
	began := time.Now()
	f := &Failures{Mesh: m.Name, Modes: []*Mode{}}
	p, err := startProber(ctx, m, o)
	if err != nil {
		return nil, err
	}
	f.Proxies = len(p.mesh.Status().Proxies)
	found := declared(p.running.Mesh)
	if err := p.all(ctx, found); err != nil {
		_ = p.mesh.Stop() // the first error is the cause
		return nil, err
	}
	for _, s := range found {
		f.Modes = append(f.Modes, s.mode)
	}
	slices.SortStableFunc(f.Modes, func(a, b *Mode) int {
		return cmp.Or(a.Pos.Compare(b.Pos), cmp.Compare(a.Setting, b.Setting))
	})
	f.Time = time.Since(began)
	return f, p.mesh.Stop()
}

// startProber starts a mesh whose applications the prober has fail.
func startProber(ctx context.Context, m *ir.Mesh, o FailureOptions) (*prober, error) {
	s, err := startSender(ctx, m, o.Envoy, o.Outside)
	if err != nil {
		return nil, err
	}
	return &prober{s, cmp.Or(o.Longest, DefaultLongest)}, nil
}

// declaration is a setting that somebody wrote, and the edges on which it is in force.
type declaration struct {
	mode    *Mode
	edges   []*edge
	provoke experiment
	// waits is set where requests only wait: they may do so beside others.
	waits bool
}

// experiment provokes the failure that a setting is for on an edge.
type experiment func(ctx context.Context, p *prober, e *edge) (*result, error)

// result is what an experiment showed.
type result struct {
	verdict Verdict
	text    string
}

func shows(v Verdict, format string, args ...any) (*result, error) {
	return &result{v, fmt.Sprintf(format, args...)}, nil
}

// declared are the settings of a mesh about failures, each once for where it is written.
func declared(m *ir.Mesh) (list []*declaration) {
	known := map[string]*declaration{}
	add := func(setting string, value any, pos source.Position) *declaration {
		key := setting + "\x00" + pos.String()
		d := known[key]
		if d == nil {
			d = &declaration{mode: &Mode{Setting: setting, Value: valueText(value), Pos: pos}}
			known[key], list = d, append(list, d)
		}
		return d
	}
	edges, whole := edgesOf(m)
	for _, e := range edges {
		for _, s := range settingsOf(e.trial.Policy) {
			d := add(s.Path, s.Value, s.Pos)
			d.edges, d.provoke, d.waits = append(d.edges, e), provoking(e, s.Path), waiting[s.Path]
		}
		for _, s := range guardsOf(m, e) {
			d := add(s.setting, s.value, s.pos)
			d.edges, d.provoke = append(d.edges, e), s.provoke
		}
	}
	for _, w := range written(m, whole) {
		if d := add(w.Path, w.Value, w.Pos); len(d.edges) == 0 {
			d.mode.Verdict, d.mode.Text = w.verdict, w.why
		}
	}
	return list
}

// settingsOf are the settings of a policy that somebody wrote.
func settingsOf(p *ir.Policy) []ir.PolicySetting {
	return slices.DeleteFunc(append(p.Settings(), p.Bounds.Settings()...), func(s ir.PolicySetting) bool {
		return !s.Pos.IsValid()
	})
}

// valueText is a value as diff tells it, and 0 as a number.
func valueText(v any) string { return cmp.Or(values.Text(reflect.ValueOf(v)), fmt.Sprint(v)) }

// all provokes what was declared. What only waits does so at once; of what sends many requests one goes on for each
// callee.
func (p *prober) all(ctx context.Context, list []*declaration) error {
	lanes := map[ir.Ref][]*declaration{}
	errs := make([]error, len(list))
	var wait sync.WaitGroup
	for i, d := range list {
		switch {
		case len(d.edges) == 0:
		case d.waits:
			wait.Go(func() { errs[i] = p.settle(ctx, d) })
		default:
			end := d.edges[0].ends[0]
			lanes[end] = append(lanes[end], d)
		}
	}
	wait.Wait()
	if err := cmp.Or(errs...); err != nil {
		return err
	}
	var mu sync.Mutex
	var first error
	for _, lane := range lanes {
		wait.Go(func() {
			for _, d := range lane {
				if err := p.settle(ctx, d); err != nil {
					mu.Lock()
					first = cmp.Or(first, err)
					mu.Unlock()
					return
				}
			}
		})
	}
	wait.Wait()
	return first
}

// settle provokes one, on the first of its edges where it has an effect.
func (p *prober) settle(ctx context.Context, d *declaration) error {
	if d.provoke == nil {
		d.mode.Verdict, d.mode.Text = NotProvoked, "its failure is not provoked on one machine"
		return nil
	}
	for _, e := range d.edges {
		r, err := d.provoke(ctx, p, e)
		if err != nil {
			return fmt.Errorf("%s (%s) on %s: %w", d.mode.Setting, d.mode.Pos, e.way(), err)
		}
		if d.mode.Verdict == "" || r.verdict != NoEffect {
			d.mode.Verdict, d.mode.Text, d.mode.Way = r.verdict, r.text, e.way()
		}
		if r.verdict == Behaves || r.verdict == Otherwise {
			return nil
		}
	}
	return nil
}
