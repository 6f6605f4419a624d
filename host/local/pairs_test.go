package local

import (
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/compiler/try/trytest"
	"github.com/meshc/meshc/review/diff"
)

// TestEveryDifferenceOfEnvoysIsTold changes random meshes at random, and sends random requests, with none to five
// values of a header and claims of all sorts, through Envoys of both versions: those of members, of the gateway, and
// of whoever comes past every proxy of their own, from some address, with an identity or none; connections of bytes,
// and what looks like a probe. What is answered otherwise after than before is an effect of diff, and each effect's
// own request is answered otherwise; or diff says that it did not look at everything. MESHC_ENVOY_PAIRS is how many
// pairs, and MESHC_SEED what the random ones are made of.
func TestEveryDifferenceOfEnvoysIsTold(t *testing.T) {
	const perPair = 40
	pairs, seed := trytest.Amount(os.Getenv("MESHC_ENVOY_PAIRS"), 8), trytest.Seed(t)
	public, token := randomTokens(t)
	sent, different, around, notWhole := 0, 0, 0, 0
	few := func() bool { return different < pairs || around < pairs/4 } // which proves little
	for n := 0; (n < pairs || n < 4*pairs && few()) && !t.Failed(); n++ {
		g := &trytest.Random{Rand: rand.New(rand.NewPCG(seed, uint64(n))), Keys: public, Wide: true}
		var spec *trytest.Spec
		before, text := randomMesh(t, func() *trytest.Spec { spec = g.Spec(); return spec })
		after, changed := randomMesh(t, func() *trytest.Spec { return g.Edited(spec) })
		d := diff.Of(before, after)
		if len(d.Missed) > 0 {
			notWhole++
			continue
		}
		var requests, past []*try.Request
		add := func(r try.Request) bool {
			if !r.IP.IsValid() {
				r.IP = trytest.Loopback
			}
			switch {
			case len(undecided(t, before, after, r)) > 0:
				return false
			case goesPast(before, &r) && goesPast(after, &r):
				past = append(past, &r)
			case r.IP == trytest.Loopback && r.Port == trytest.Requests && sendable(before, &r) && sendable(after, &r):
				requests = append(requests, &r)
			default:
				return false
			}
			return true
		}
		for _, e := range d.Effects {
			if e.Witness != nil && add(e.Witness.Request) && e.Kind != diff.Timing && e.Kind != diff.Handled &&
				outcome(t, before, &e.Witness.Request) == outcome(t, after, &e.Witness.Request) {
				t.Errorf("%s: %s is answered as before", e.Kind, e.Witness.Command)
			}
		}
		for range perPair {
			r, _ := g.Request(token)
			add(r)
			add(g.Direct(token))
		}
		v := &revisions{T: t, before: before, after: after, token: token}
		v.start()
		v.answers("before", before, requests) // so what try says is what Envoys answer
		v.reaches("before", before, past)
		v.update(nil)
		v.answers("after", after, requests)
		v.reaches("after", after, past)
		v.stopped = true
		if err := v.mesh.Stop(); err != nil {
			t.Fatal(err)
		}
		differ, direct := v.allTold(d, requests, past)
		sent, different, around = sent+len(requests)+len(past), different+differ+direct, around+direct
		if t.Failed() {
			t.Logf("before:\n%s\nafter:\n%s", text, changed)
		}
	}
	t.Logf("%d requests to both versions, %d of which are answered otherwise (%d past proxies, or of bytes), and all are told; %d pairs were not looked at as a whole", sent, different, around, notWhole)
	if few() || notWhole > pairs/10 {
		t.Error("that proves little")
	}
}

// allTold wants each request that is answered otherwise after the change than before to be one that an effect is
// about, and of those who come past proxies each that is let in or no longer. It returns how many there are of either.
func (v *revisions) allTold(d *diff.Difference, requests, past []*try.Request) (differ, direct int) {
	v.Helper()
	told := func(r *try.Request, was, is bool) bool {
		return slices.ContainsFunc(d.Effects, func(e *diff.Effect) bool { return tells(e, r, was, is) })
	}
	for _, r := range requests {
		was, is := outcome(v.T, v.before, r), outcome(v.T, v.after, r)
		if was == is {
			continue
		}
		differ++
		if !told(r, v.letsIn(v.before, r), v.letsIn(v.after, r)) {
			v.Errorf("not told: %s %s, and then %s", r.Command(), was, is)
		}
	}
	for _, r := range past {
		was, is := v.letsIn(v.before, r), v.letsIn(v.after, r)
		if was == is {
			continue
		}
		direct++
		if !told(r, was, is) {
			v.Errorf("not told: %s is let in: %v, and then %v", r.Command(), was, is)
		}
	}
	return differ, direct
}

// outcome is what happens to a request, in words.
func outcome(t *testing.T, m *ir.Mesh, r *try.Request) string {
	t.Helper()
	trial, err := try.Try(m, *r)
	if err != nil {
		t.Fatal(err)
	}
	if a := trial.Answer; a != nil && a.Body != "" {
		return trial.Outcome() + " with " + a.Body
	}
	return trial.Outcome()
}

// tells reports whether an effect is about such a request, which is let in before and after or not.
func tells(e *diff.Effect, r *try.Request, was, is bool) bool {
	to := ir.ServiceRef(r.Host)
	if r.From.Kind == ir.KindGateway {
		to = ir.GatewayRef(r.From.Name)
	}
	sends := func(from diff.Subject) bool { return isSender(from, r.From) }
	if e.To.Member != to || !slices.ContainsFunc(e.From, sends) {
		return false
	}
	switch {
	case !was && is:
		return e.Kind == diff.NewlyAllowed || e.Kind == diff.Answered || e.Kind == diff.Rerouted
	case was && !is:
		return e.Kind == diff.NewlyDenied || e.Kind == diff.Answered || e.Kind == diff.Rerouted
	}
	return slices.Contains([]diff.Kind{diff.NewlyAllowed, diff.NewlyDenied, diff.Rerouted, diff.Answered}, e.Kind)
}
