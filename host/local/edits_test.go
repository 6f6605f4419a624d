package local

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/try/trytest"
)

// edited is a service under edit.
type edited struct {
	routes   []editedRoute
	versions []string // instances, too: each version has one
	names    int
	limited  bool // a filter of the service's own listener
}

type editedRoute struct {
	name, path string
	to         []string // versions; none for any instance
	faulty     bool     // a filter of the callers' listeners
}

// spec is the mesh: client calls the service through two proxies.
func (e *edited) spec() string {
	var b strings.Builder
	b.WriteString(`package edits

mesh: {name: "edits", trustDomain: "edits.example"}

services: client: {
	workload: deployment: "client"
	uses: target: {}
}
services: target: {
	workload: deployment: "target"
	ports: http: {port: 8081, protocol: "http"}
	allow: [{from: services: ["client"]}]
`)
	if e.limited {
		b.WriteString("\trateLimit: requests: 1000000\n")
	}
	for _, v := range e.versions {
		fmt.Fprintf(&b, "\tversions: %s: labels: version: %q\n", v, v)
	}
	b.WriteString("\troutes: [\n")
	for _, r := range e.routes {
		fmt.Fprintf(&b, "\t\t{name: %q, match: path: prefix: %q", r.name, r.path)
		for i, v := range r.to {
			if i == 0 {
				b.WriteString(", to: [")
			}
			fmt.Fprintf(&b, "{version: %q}, ", v)
		}
		if r.to != nil {
			b.WriteString("]")
		}
		if r.faulty {
			b.WriteString(`, fault: delay: {for: "1ms", percent: 1}`)
		}
		b.WriteString("},\n")
	}
	b.WriteString("\t]\n}\n")
	return b.String()
}

// edit changes something at random, and says what.
func (e *edited) edit(r *rand.Rand) string {
	for {
		i := -1
		if len(e.routes) > 0 {
			i = r.IntN(len(e.routes))
		}
		switch kind := r.IntN(9); {
		case kind == 0 && len(e.routes) < 8:
			e.names++
			route := editedRoute{name: fmt.Sprint("route ", e.names), path: fmt.Sprintf("/p%d/", e.names%10)}
			if slices.ContainsFunc(e.routes, func(o editedRoute) bool { return o.path == route.path }) {
				continue
			}
			e.routes = slices.Insert(e.routes, max(0, i), route)
			return "added " + route.name
		case kind == 1 && i >= 0:
			name := e.routes[i].name
			e.routes = slices.Delete(e.routes, i, i+1)
			return "removed " + name
		case kind == 2 && len(e.routes) > 1:
			r.Shuffle(len(e.routes), func(i, j int) { e.routes[i], e.routes[j] = e.routes[j], e.routes[i] })
			return "reordered"
		case kind == 3 && i >= 0:
			e.names++
			e.routes[i].name = fmt.Sprint("renamed ", e.names)
			return e.routes[i].name
		case kind == 4 && i >= 0:
			e.routes[i].to = []string{e.versions[r.IntN(len(e.versions))]}
			return fmt.Sprint(e.routes[i].name, " goes to ", e.routes[i].to)
		case kind == 7 && i >= 0:
			e.routes[i].faulty = !e.routes[i].faulty
			return fmt.Sprint(e.routes[i].name, " delays ", e.routes[i].faulty)
		case kind == 8:
			e.limited = !e.limited
			return fmt.Sprint("limited ", e.limited)
		case kind == 5 && len(e.versions) < 4:
			e.names++
			v := fmt.Sprint("v", e.names)
			e.versions = append(e.versions, v)
			return "came " + v
		case kind == 6 && len(e.versions) > 1:
			v := e.versions[r.IntN(len(e.versions))]
			e.versions = slices.DeleteFunc(e.versions, func(o string) bool { return o == v })
			for i := range e.routes {
				if slices.Contains(e.routes[i].to, v) {
					e.routes[i].to = nil
				}
			}
			return "went " + v
		}
	}
}

// Under a steady load routes are added, reordered, renamed and removed, versions
// are switched, filters come into listeners and go, and so do instances: no request
// fails. MESHC_LOAD_EDITS is how many edits are made, and MESHC_SEED what they are made of.
//
// Field: routes
// Field: versions
// Field: workload.endpoints
func TestNoRequestIsLostByEdits(t *testing.T) {
	edits := trytest.Amount(os.Getenv("MESHC_LOAD_EDITS"), 80)
	r := rand.New(rand.NewPCG(trytest.Seed(t), 0))
	e := &edited{versions: []string{"v0"}}
	mesh := start(t, inline(t, map[string]string{"mesh.cue": e.spec()}))
	c := mesh.As("client").Client()
	get(t, c, "http://target:8081/p1/")
	var loads []*load
	for _, path := range []string{"/p1/", "/p2/", "/other"} {
		loads = append(loads, startPacedLoad(t, c, "http://target:8081"+path, 2, 5*time.Millisecond))
	}
	var done []string
	for i := range edits {
		done = append(done, e.edit(r))
		if err := mesh.Update(t.Context(), inline(t, map[string]string{"mesh.cue": e.spec()})); err != nil {
			t.Fatalf("edit %d, %s: %v", i, done[i], err)
		}
		for _, l := range loads {
			if l.failed.Load() > 0 {
				t.Fatalf("edit %d, %s: %s; before it: %v", i, done[i], *l.first.Load(), done[max(0, i-3):i])
			}
		}
	}
	sent := int64(0)
	for _, l := range loads {
		l.end(t)
		sent += l.sent.Load()
	}
	if sent < int64(10*edits) {
		t.Errorf("%d requests during %d edits prove little", sent, edits)
	}
	t.Logf("%d edits and %d requests", edits, sent)
}
