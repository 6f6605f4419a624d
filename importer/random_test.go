package importer_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/importer"
	"github.com/meshc/meshc/importer/together"
)

// dice makes random objects of a source.
type dice struct{ *rand.Rand }

// inTurns calls a function with random dice a few times, or as often as MESHC_OBJECTS says: the same ones each time
// unless MESHC_SEED says others.
func inTurns(t *testing.T, turns int, do func(t *testing.T, d dice)) {
	if n, err := strconv.Atoi(os.Getenv("MESHC_OBJECTS")); err == nil {
		turns = n
	}
	seed := uint64(1)
	if n, err := strconv.ParseUint(os.Getenv("MESHC_SEED"), 10, 64); err == nil {
		seed = n
	}
	for i := range turns {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			do(t, dice{rand.New(rand.NewPCG(seed, uint64(i)))})
		})
	}
}

// of is one of some.
func (d dice) of(texts ...string) string { return texts[d.IntN(len(texts))] }

// meshOf is what import makes of a stream of objects, compiled, with the findings. It has to compile.
func meshOf(t *testing.T, stream string, o importer.Options) (*ir.Mesh, diag.List) {
	objects, found := importer.Read("in.yaml", []byte(stream), "shop")
	o.Name, o.TrustDomain = "shop", "cluster.local"
	m := together.Import(objects, o)
	found.Add(m.Found...)
	files, err := m.Files()
	if err != nil {
		t.Fatal(err)
	}
	r := compiled(t, files)
	if r.Mesh == nil {
		t.Fatalf("it does not compile: %v, of\n%s", r.Diagnostics, stream)
	}
	return r.Mesh, found
}

// members are Services of HTTP with their Deployments, in the namespace shop.
func members(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, `---
{apiVersion: v1, kind: Service, metadata: {name: %[1]s}, spec: {selector: {app: %[1]s}, ports: [{name: http, port: 80}]}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: %[1]s}, spec: {template: {metadata: {labels: {app: %[1]s}}, spec: {serviceAccountName: %[1]s, containers: [{name: main}]}}}}
`, name)
	}
	return b.String()
}

// TestRandomIngresses has requests to random Ingresses end where the API's own description says: at the longest path of
// the most specific host that rules have, and for other hosts at the default backend.
func TestRandomIngresses(t *testing.T) {
	hosts := []string{"one.example", "*.example", ""}
	inTurns(t, 30, func(t *testing.T, d dice) {
		stream := members("a", "b", "c")
		var paths []randomPath
		for n := range 4 {
			p := randomPath{d.of(hosts...), d.of("Exact", "Prefix"), d.of("/", "/x", "/x/", "/x/y", "/xy"), d.of("a", "b", "c")}
			if n == 3 { // as a default backend is
				p = randomPath{"", "Prefix", "/", p.to}
			}
			backend := fmt.Sprintf("{service: {name: %s, port: {number: 80}}}", p.to)
			text := fmt.Sprintf("rules: [{host: %q, http: {paths: [{pathType: %s, path: %s, backend: %s}]}}]", p.host, p.kind,
				p.path, backend)
			if n == 3 {
				text = "defaultBackend: " + backend
			}
			stream += fmt.Sprintf("---\n{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: i%d}, spec: {%s}}\n",
				n, text)
			paths = append(paths, p)
		}
		m, _ := meshOf(t, stream, importer.Options{})
		for _, host := range []string{"one.example", "two.example", "other.test"} {
			for _, path := range []string{"/", "/x", "/x/", "/x/y", "/x/y/z", "/xy", "/z"} {
				own := ""
				for _, p := range paths {
					if p.host == host || p.host == "*.example" && own != host && strings.HasSuffix(host, ".example") {
						own = p.host
					}
				}
				want, best := "404", -1
				for _, p := range paths {
					if rank := p.rank(path); p.host == own && rank > best {
						want, best = p.to, rank
					}
				}
				if got := answered(t, m, requestOf(t, "gateway:ingress GET http://"+host+path)); got != want {
					t.Errorf("%s%s: %s, and the API says %s, of\n%s", host, path, got, want, stream)
				}
			}
		}
	})
}

// randomPath is a path of an Ingress.
type randomPath struct{ host, kind, path, to string }

// rank is the greater the nearer a path is to that of a request; -1 if it does not take the request.
func (p *randomPath) rank(path string) int {
	whole := strings.TrimSuffix(p.path, "/")
	switch {
	case p.kind == "Exact" && path == p.path:
		return 2*len(p.path) + 1
	case p.kind == "Prefix" && (path == whole || strings.HasPrefix(path, whole+"/")):
		return 2 * len(whole)
	}
	return -1
}
