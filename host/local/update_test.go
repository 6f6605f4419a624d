package local

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/compiler/try/trytest"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/review/diff"
)

// TestWitnessesDiffer changes random meshes at random, and sends the requests that diff gives for the effects through
// Envoys of both versions: each is answered as diff says, otherwise after than before. And where it says that proxies
// may take the change in any order, it puts every mixture of old and new proxies together: what both versions let in
// is let in. MESHC_WITNESSES is how many are wanted, and MESHC_SEED what the random ones are made of.
func TestWitnessesDiffer(t *testing.T) {
	wanted, seed := trytest.Amount(os.Getenv("MESHC_WITNESSES"), 25), trytest.Seed(t)
	public, token := randomTokens(t)
	witnesses, mixtures, staged := 0, 0, 0
	for n := 0; (witnesses < wanted || mixtures == 0) && !t.Failed(); n++ {
		g := &trytest.Random{Rand: rand.New(rand.NewPCG(seed, uint64(n))), Keys: public}
		var spec *trytest.Spec
		before, text := randomMesh(t, func() *trytest.Spec { spec = g.Spec(); return spec })
		after, changed := randomMesh(t, func() *trytest.Spec { return g.Edited(spec) })
		d := diff.Of(before, after)
		var sent []*try.Request
		for _, e := range d.Effects {
			if x := e.Witness; x != nil && sendable(before, &x.Request) && sendable(after, &x.Request) &&
				len(undecided(t, before, after, x.Request)) == 0 {
				sent = append(sent, &x.Request)
			}
		}
		if len(sent) == 0 {
			continue
		}
		v := &revisions{T: t, before: before, after: after, token: token}
		v.start()
		v.answers("before", before, sent)
		if d.Update.AnyOrder {
			mixtures += v.mixtures(g, sent)
		} else {
			staged++
		}
		v.update(nil)
		v.answers("after", after, sent)
		witnesses += len(sent)
		v.stopped = true
		if err := v.mesh.Stop(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.Logf("before:\n%s\nafter:\n%s", text, changed)
		}
	}
	t.Logf("%d requests are answered as diff says in both versions; %d answers of mixtures; %d changes in stages",
		witnesses, mixtures, staged)
}

// sendable reports whether a request is one of a gateway's clients, or of a service that knows where it goes.
// Applications refuse a path with an escape that is none, which their proxies pass on.
func sendable(m *ir.Mesh, r *try.Request) bool {
	if _, err := url.PathUnescape(r.Path); err != nil {
		return false
	}
	if r.From.Kind == ir.KindGateway {
		return true
	}
	if r.From.Kind != ir.KindService {
		return false
	}
	return slices.ContainsFunc(m.Service(r.From.Name).Uses, func(u ir.Use) bool {
		return u.To == r.Host && slices.ContainsFunc(u.Ports, func(port string) bool {
			return m.Service(u.To).Port(port).Number == r.Port
		})
	})
}

// undecided are what the outcomes of a request depend on besides.
func undecided(t *testing.T, before, after *ir.Mesh, r try.Request) (list []string) {
	t.Helper()
	for _, m := range []*ir.Mesh{before, after} {
		trial, err := try.Try(m, r)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, trial.Undecided...)
	}
	return list
}

// revisions is a mesh that runs, and changes from one version to another.
type revisions struct {
	*testing.T
	before, after *ir.Mesh
	token         func(issuer string, claims map[string]any) string
	mesh          *Mesh

	mu     sync.Mutex
	placed *ir.Mesh        // the old version, as it runs
	held   map[string]bool // members whose proxies keep the old version
	again  int

	stopped bool
}

func (v *revisions) start() {
	v.Helper()
	m, err := Start(v.Context(), Options{Mesh: v.before, Build: v.build})
	if err != nil {
		v.Fatal(err)
	}
	v.mesh = m
	v.Cleanup(func() {
		if !v.stopped {
			_ = m.Stop()
		}
	})
	v.mu.Lock()
	v.placed = m.Placed()
	v.mu.Unlock()
}

// build renders a proxy's resources, of the old version for one that is held.
func (v *revisions) build(scope ir.Scope, o envoy.Options) (*envoy.Resources, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if member := scope.Member(); v.held[member.Name] {
		if g := v.placed.Gateway(member.Name); g != nil {
			scope = v.placed.GatewayScope(g)
		} else {
			scope = v.placed.ServiceScope(v.placed.Service(member.Name))
		}
	}
	return envoy.Build(scope, o)
}

// update has all proxies take the new version but those that are held.
func (v *revisions) update(held map[string]bool) {
	v.Helper()
	v.mu.Lock()
	v.held = held
	v.again++
	m := v.after.Clone()
	v.differs(m)
	v.mu.Unlock()
	ctx, cancel := context.WithTimeout(v.Context(), time.Minute)
	defer cancel()
	if err := v.mesh.Update(ctx, m); err != nil {
		v.Fatal(err)
	}
}

// differs makes the mesh another one to each proxy, so that those that are held no longer are rendered again, and one
// that answers as before: retries wait a little longer, and a rule logs calls of nobody.
func (v *revisions) differs(m *ir.Mesh) {
	m.Defaults.BackoffMax = &ir.Setting[ir.Duration]{Value: ir.Duration(
		time.Second + time.Duration(v.again)*time.Millisecond)}
	nobody := ir.Peer{Kind: ir.KindIdentity, Pattern: fmt.Sprintf("spiffe://%s/ns/nobody/sa/%d", m.TrustDomain,
		v.again)}
	for _, s := range m.Services {
		s.Deny = append(s.Deny, ir.Rule{Name: "nobody", From: []ir.Peer{nobody}, Audit: true})
	}
}

// workersTime is how long a proxy's workers may take.
const workersTime = 3 * time.Second

// answers wants requests to be answered as a version has them.
func (v *revisions) answers(when string, m *ir.Mesh, requests []*try.Request) {
	v.Helper()
	for _, r := range requests {
		trial, err := try.Try(m, *r)
		if err != nil {
			v.Fatal(err)
		}
		// A proxy says that it has taken a change before its workers act by it.
		wrong := ""
		for begun := time.Now(); time.Since(begun) < workersTime; {
			if wrong = difference(v.T, v.mesh, trial, *r, v.raw(r)); wrong == "" {
				break
			}
		}
		if wrong != "" {
			v.Errorf("%s: %s: %s; %s", when, r.Command(), wrong, trial.Outcome())
		}
	}
}

// raw is a request as it is sent.
func (v *revisions) raw(r *try.Request) string {
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nhost: %s\r\n", r.Method, r.Path, r.HostHeader())
	for _, h := range r.Headers {
		head += h.Name + ": " + h.Value + "\r\n"
	}
	if r.Token != nil {
		said := map[string]any{}
		for name, values := range r.Token.Claims {
			if said[name] = values; len(values) == 1 {
				said[name] = values[0]
			}
		}
		head += "authorization: Bearer " + v.token(r.Token.Issuer, said) + "\r\n"
	}
	if r.Method == http.MethodPost || r.Method == http.MethodPut {
		head += "content-length: 0\r\n"
	}
	return head + "connection: close\r\n\r\n"
}

// mixtures sends requests through mixtures of old and new proxies, and wants those to be let in that both versions let
// in. It returns how many answers it saw.
func (v *revisions) mixtures(g *trytest.Random, sent []*try.Request) (answers int) {
	v.Helper()
	requests := slices.Clone(sent)
	for range 12 {
		if r, _ := g.Request(v.token); sendable(v.before, &r) && sendable(v.after, &r) &&
			len(undecided(v.T, v.before, v.after, r)) == 0 {
			requests = append(requests, &r)
		}
	}
	for range 4 { // of the 14 ways in which some have the new version and some not
		of := 1 + g.IntN(14)
		held := map[string]bool{}
		for i, name := range []string{"a", "b", "c", "g"} {
			if of>>i&1 == 1 {
				held[name] = true
			}
		}
		v.update(held)
		for _, r := range requests {
			if !v.letsIn(v.before, r) || !v.letsIn(v.after, r) {
				continue
			}
			status := v.status(r)
			for begun := time.Now(); status >= 400 && time.Since(begun) < workersTime; {
				status = v.status(r)
			}
			answers++
			if status >= 400 {
				v.Errorf("with the old version at %v: %s is answered %d, and let in by both versions",
					slices.Sorted(maps.Keys(held)), r.Command(), status)
			}
		}
	}
	return answers
}

// status sends a request.
func (v *revisions) status(r *try.Request) int {
	v.Helper()
	conn, err := dialed(v.T, v.mesh, r)
	if err != nil {
		v.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		v.Fatal(err)
	}
	if _, err := io.WriteString(conn, v.raw(r)); err != nil {
		v.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: r.Method})
	if err != nil {
		v.Fatalf("%s: %v", r.Command(), err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

func (v *revisions) letsIn(m *ir.Mesh, r *try.Request) bool {
	trial, err := try.Try(m, *r)
	if err != nil {
		v.Fatal(err)
	}
	return trial.Allowed()
}

// movedCalls has frontend call front, whose requests a route moves from one service to another. Each lets frontend in
// while it is the one.
const movedCalls = `package moved

mesh: {name: "moved", trustDomain: "moved.example"
	silence: MC1203: "-"
}
services: frontend: {workload: deployment: "frontend", uses: front: {}}
services: front: {
	workload: deployment: "front"
	ports: http: {port: 8080, protocol: "http"}
	routes: [{to: [{service: %q}]}]
	allow: [{from: services: ["frontend"]}]
}
services: [Name=("one" | "two")]: {
	workload: deployment: Name
	ports: http: {port: 8080, protocol: "http"}
	allow: [for n in [%q] if n == Name {from: services: ["frontend"]}]
}
services: {one: {}, two: {}}
`

// TestStagesLoseNothing moves calls from one service to another and back, under load. Diff says that this must be
// done in stages, and no request fails.
func TestStagesLoseNothing(t *testing.T) {
	t.Parallel() // it waits more than it works
	moved := func(to string) *ir.Mesh {
		return inline(t, map[string]string{"mesh.cue": fmt.Sprintf(movedCalls, to, to)})
	}
	one, two := moved("one"), moved("two")
	if d := diff.Of(one, two); d.Update.AnyOrder {
		t.Fatal("diff says that proxies may take it in any order")
	}
	mesh := start(t, one)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var requests, failures atomic.Int64
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			client := mesh.As("frontend").Client()
			for ctx.Err() == nil {
				answer, err := trySend(t.Context(), client, http.MethodGet, "http://front:8080/")
				requests.Add(1)
				if err != nil || answer.status != http.StatusOK {
					failures.Add(1)
				}
			}
		})
	}
	for n := range 6 {
		if err := mesh.Update(t.Context(), []*ir.Mesh{two, one}[n%2]); err != nil {
			t.Fatal(err)
		}
		if report := get(t, mesh.As("frontend").Client(), "http://front:8080/"); report.Service != []string{
			"two",
			"one",
		}[n%2] {
			t.Errorf("after change %d %s answers", n, report.Service)
		}
	}
	stop()
	load.Wait()
	t.Logf("%d requests, %d failed", requests.Load(), failures.Load())
	if failures.Load() > 0 || requests.Load() < 500 {
		t.Errorf("of %d requests %d failed", requests.Load(), failures.Load())
	}
}
