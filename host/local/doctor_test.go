package local

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/review/bundle"
	"github.com/meshc/meshc/review/doctor"
)

// wardMesh has a service for each thing that goes wrong, and one whose calls go through another.
const wardMesh = `package shop

mesh: {
	name: "shop", trustDomain: "shop.example"
	silence: {MC1307: "-", MC1701: "-", MC1704: "-", MC1736: "-"}
	jwt: issuers: acc: {issuer: "https://acc.example", jwks: {service: "keys", path: "/jwks"}}
}
services: [string]: namespace: "shop"
services: [N=!~"^(client|many|listed|keys|tokens)$"]: {workload: deployment: N, ports: http: {port: 8080, protocol: "http"}}
services: [!~"^(client|keys|tokens|leaf|denying)$"]: {allow: [{from: services: ["client"]}]}
services: {
	client: {
		workload: deployment: "client"
		uses: {denying: {}, waits: {}, routed: {}, fails: {}, many: {}, listed: {}, dies: {}, limited: {}, tokens: {}, above: {}}
	}
	denying: allow: [
		{from: services: ["above"]},
		{from: services: ["client"], paths: ["/left"]},
		{from: services: ["client"], paths: ["/"]}, // removed
	]
	waits: {timeout: "5s"}
	routed: routes: [
		{name: "items", match: path: prefix: "/items/", timeout: "4s"},
	]
	fails: {}
	many: {
		workload: deployment: "many"
		ports: http: {port: 8080, protocol: "http"}
		outliers: consecutive5xx: 0
		versions: {
			a: labels: version: "a"
			b: labels: version: "b"
			c: labels: version: "c"
			d: labels: version: "d"
		}
	}
	listed: {workload: file: "listed.json", ports: http: {port: 8080, protocol: "http"}}
	dies: {}
	limited: routes: [{name: "all", match: path: prefix: "/", rateLimit: {requests: 20, per: "1m"}}]
	keys: {workload: deployment: "keys", ports: http: {port: 8080, protocol: "http"}, allow: [{from: services: ["tokens"]}]}
	tokens: {
		workload: deployment: "tokens"
		ports: http: {port: 8080, protocol: "http"}
		uses: keys: {}
		allow: [{from: services: ["client"], jwt: issuer: "acc"}]
	}
	above: uses: {leaf: {}, denying: {}}
	leaf: allow: [{from: services: ["above"]}]
}
`

// ward is a mesh with traffic to each of its services.
type ward struct {
	*Mesh
	endpoints string
	broken    atomic.Bool
	failing   sync.Map // services whose applications answer 500, by name
	slow      sync.Map
}

func startWard(t *testing.T) *ward {
	t.Helper()
	w := &ward{endpoints: t.TempDir()}
	build := func(s ir.Scope, o envoy.Options) (*envoy.Resources, error) {
		r, err := envoy.Build(s, o)
		if err == nil && w.broken.Load() && s.Service != nil && s.Service.Name == "above" {
			r.Listeners[0].Address = nil
		}
		return r, err
	}
	m, err := Start(t.Context(), Options{
		Mesh: inline(t, map[string]string{"mesh.cue": wardMesh}), Endpoints: w.endpoints, Build: build,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Mesh = m
	t.Cleanup(func() {
		if err := m.Stop(); err != nil {
			t.Error(err)
		}
	})
	w.list(t, w.placedAt("listed"))
	for _, s := range []string{"fails", "leaf", "waits"} {
		play(t, m, s, "a", w.answer(s))
	}
	play(t, m, "above", "a", w.goesOn())
	for _, v := range []string{"a", "b", "c", "d"} {
		play(t, m, "many", v, w.answer("many "+v))
	}
	return w
}

// answer is an application that does what it is told.
func (w *ward) answer(name string) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		if _, is := w.slow.Load(name); is {
			select {
			case <-time.After(400 * time.Millisecond):
			case <-r.Context().Done():
			}
		}
		if _, is := w.failing.Load(name); is {
			rw.WriteHeader(http.StatusInternalServerError)
		}
	}
}

// goesOn is the application of above, which calls the leaf and fails when it does.
func (w *ward) goesOn() http.HandlerFunc {
	client := w.As("above").Client()
	return func(rw http.ResponseWriter, r *http.Request) {
		a, err := trySend(r.Context(), client, http.MethodGet, "http://leaf:8080/")
		if err != nil || a.status != http.StatusOK {
			rw.WriteHeader(http.StatusBadGateway)
		}
	}
}

// placedAt are the instances of a service, as an endpoints file has them.
func (w *ward) placedAt(name string) (out []foundEndpoint) {
	for _, e := range w.Placed().Service(name).Workload.Endpoints {
		out = append(out, foundEndpoint{"address": e.Address, "local": true, "port": e.Ports["http"]})
	}
	return out
}

func (w *ward) list(t *testing.T, endpoints []foundEndpoint) {
	t.Helper()
	data, err := json.Marshal(endpoints)
	if len(endpoints) == 0 {
		data = []byte("[]")
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(w.endpoints, ".listed"), data, 0o600)
	}
	if err == nil {
		err = os.Rename(filepath.Join(w.endpoints, ".listed"), filepath.Join(w.endpoints, "listed.json"))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// ask sends requests to services, a few each second, until the test ends. Headers are pairs of name and value.
func (w *ward) ask(t *testing.T, url string, headers ...string) {
	t.Helper()
	client := w.As("client").Client()
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	for range 2 {
		done.Go(func() {
			for ctx.Err() == nil {
				_, _ = trySend(ctx, client, http.MethodGet, url, headers...) // what comes of it, the proxies tell
				select {
				case <-ctx.Done():
				case <-time.After(50 * time.Millisecond):
				}
			}
		})
	}
	t.Cleanup(func() { cancel(); done.Wait() })
}

// says waits until the doctor names that cause for a member, with its subject and position.
func (w *ward) says(t *testing.T, name string, want doctor.Verdict) {
	t.Helper()
	var got *doctor.Report
	for deadline := time.Now().Add(90 * time.Second); ; {
		o := doctor.Observe(t.Context(), doctor.Sources{Servers: []string{w.ServerAdmin()}})
		got = doctor.Examine(o, name)
		if c := (named{name, want}); c.is(got) {
			return
		}
		if time.Now().After(deadline) {
			break
		}
	}
	said, _ := json.MarshalIndent(got, "", " ") // which it always has
	t.Errorf("the doctor says of %s\n%s\nand not %+v", name, said, want)
}

// lineOf is where a text stands in the spec.
func lineOf(text string) string {
	i := strings.Index(wardMesh, text)
	return fmt.Sprintf("mesh.cue:%d", 1+strings.Count(wardMesh[:i], "\n"))
}

// TestDoctorNamesTheCause lets real Envoys fail in many ways, one at a service, and wants the doctor to name each
// cause, its subject, the line of the spec and who has to act; and to name nothing before.
func TestDoctorNamesTheCause(t *testing.T) {
	t.Parallel() // it waits more than it works
	w := startWard(t)
	w.slow.Store("waits", true) // as it always was
	for _, s := range []string{"denying", "waits", "fails", "many", "listed", "dies", "above"} {
		w.ask(t, "http://"+s+":8080/")
	}
	w.ask(t, "http://routed:8080/items/1")
	quiet := time.Now()
	for time.Since(quiet) < 20*time.Second { // a step of what is usual
		w.says(t, "", doctor.Verdict{Cause: doctor.Nothing, Subject: "mesh", Party: doctor.ByNobody})
	}
	w.ask(t, "http://limited:8080/")
	w.ask(t, "http://tokens:8080/", "authorization", "Bearer "+newKeySet(t).token(t, claims{"iss": "https://acc.example"}))
	w.Backend("keys", "a").Close()
	w.failing.Store("fails", true)
	w.failing.Store("many c", true)
	w.slow.Store("leaf", true)
	w.list(t, nil)

	causes := []named{
		{"fails", doctor.Verdict{Cause: doctor.ApplicationErrors, Subject: "service fails", Party: doctor.ByApplication}},
		{"limited", doctor.Verdict{
			Cause: doctor.RateLimited, Subject: "service limited", Position: lineOf(`limited: routes`), Party: doctor.ByClient,
		}},
		{"many", doctor.Verdict{
			Cause: doctor.InstanceFailing, Subject: "service many", Position: lineOf(`c: labels`), Party: doctor.ByApplication,
		}},
		{"listed", doctor.Verdict{
			Cause: doctor.NoInstances, Subject: "service listed", Position: lineOf(`workload: file`), Party: doctor.ByOutside,
		}},
		{"tokens", doctor.Verdict{
			Cause: doctor.JWKSUnreachable, Subject: "service tokens", Position: lineOf(`jwt: issuers`), Party: doctor.ByOutside,
		}},
		{"above", doctor.Verdict{Cause: doctor.SlowApplication, Subject: "service leaf", Party: doctor.ByApplication}},
	}
	for _, c := range causes {
		w.says(t, c.of, c.want)
	}
	b := w.bundled(t, causes)
	w.changes(t)
	w.delivery(t)
	for _, c := range causes { // nobody is asked: the server is gone
		if got := fromBundle(t, b, c.of); !c.is(got) {
			t.Errorf("the doctor says of %s in the bundle %+v, and not %+v", c.of, got.Verdict, c.want)
		}
	}
}

// named is what the doctor is to say of a member.
type named struct {
	of   string
	want doctor.Verdict
}

func (c *named) is(got *doctor.Report) bool {
	v := &got.Verdict
	return v.Cause == c.want.Cause && v.Subject == c.want.Subject && v.Position == c.want.Position &&
		v.Party == c.want.Party
}

// bundled is a bundle of a time at which the doctor sees all causes, as it is read again.
func (w *ward) bundled(t *testing.T, causes []named) *bundle.Bundle {
	t.Helper()
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); {
		var file bytes.Buffer
		b := bundle.Collect(t.Context(), bundle.Sources{
			Servers: []string{w.ServerAdmin()}, Envoys: w.admins("service/client/a", "service/above/a"),
		}, time.Now())
		if err := b.Write(&file); err != nil {
			t.Fatal(err)
		}
		read, err := bundle.Read(&file)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(causes, func(c named) bool { return !c.is(fromBundle(t, read, c.of)) }) {
			return read
		}
	}
	t.Fatal("the doctor never saw all causes in a bundle")
	return nil
}

// admins are where proxies tell of themselves.
func (w *ward) admins(ids ...string) (out []string) {
	for _, p := range w.Status().Proxies {
		if slices.Contains(ids, p.ID) {
			out = append(out, p.Admin)
		}
	}
	return out
}

func fromBundle(t *testing.T, b *bundle.Bundle, name string) *doctor.Report {
	t.Helper()
	return doctor.Examine(doctor.Observe(t.Context(), doctor.OfBundle(b)), name)
}

// changes are causes that a change of the spec has.
func (w *ward) changes(t *testing.T) {
	t.Helper()
	changed := strings.NewReplacer(
		`{from: services: ["client"], paths: ["/"]}, // removed`, "",
		`timeout: "5s"`, `timeout: "100ms"`,
		"	routed: routes: [\n", "	routed: routes: [{name: \"one\", match: path: prefix: \"/items/1\", timeout: \"3s\"},\n",
	).Replace(wardMesh)
	if err := w.Update(t.Context(), inline(t, map[string]string{"mesh.cue": changed})); err != nil {
		t.Fatal(err)
	}
	w.says(t, "denying", doctor.Verdict{
		Cause: doctor.RuleRemoved, Subject: "edge client -> denying", Position: lineOf(`paths: ["/left"]`),
		Party: doctor.ByMesh,
	})
	w.says(t, "waits", doctor.Verdict{
		Cause: doctor.TimeoutTooShort, Subject: "service waits", Position: lineOf(`timeout: "5s"`), Party: doctor.ByMesh,
	})
	w.says(t, "routed", doctor.Verdict{
		Cause: doctor.RouteHidden, Subject: "service routed", Position: lineOf(`routed: routes`), Party: doctor.ByMesh,
	})
}

// delivery are causes of proxies and of the server.
func (w *ward) delivery(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	p := w.proxies["service/dies/a"]
	w.mu.Unlock()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.exited
	w.says(t, "dies", doctor.Verdict{Cause: doctor.ProxyDead, Subject: "service dies", Party: doctor.ByMesh})

	w.slow.Delete("leaf")
	w.broken.Store(true)
	denies := strings.Replace(wardMesh, "above: uses: {leaf: {}, denying: {}}",
		`above: {uses: {leaf: {}, denying: {}}, deny: [{from: services: ["client"], paths: ["/never"]}]}`, 1)
	if err := w.Update(t.Context(), inline(t, map[string]string{"mesh.cue": denies})); err == nil {
		t.Fatal("an Envoy has taken a listener without an address")
	}
	w.says(t, "above", doctor.Verdict{
		Cause: doctor.ConfigurationRefused, Subject: "service above", Position: lineOf("above: uses"), Party: doctor.ByMesh,
	})
	w.control.cancel()
	w.control.done <- <-w.control.done // which Stop reads
	w.says(t, "", doctor.Verdict{Cause: doctor.ServerStarved, Subject: "mesh", Party: doctor.ByMesh})
}
