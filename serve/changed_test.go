package serve_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/compiletest"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try/trytest"
	"github.com/meshc/meshc/render/live"
	"github.com/meshc/meshc/serve"
)

// randomMesh is the random mesh of [trytest.Spec] and services around it, some of which use others.
type randomMesh struct {
	*trytest.Random
	spec   *trytest.Spec
	around [5]string
	hosts  string // the endpoints of b; empty for pods
}

// workloads are those of service b, by turns: pods, or endpoints, of which instances come, go and move.
var workloads = []string{
	"", `[{address: "10.0.0.1", labels: version: "v1"}, {address: "10.0.0.2", zone: "z2", labels: version: "v2"}]`,
	`[{address: "127.0.0.9", local: true, port: 9000, labels: version: "v1"}, {address: "10.0.0.2", labels: version: "v2"}]`,
	`[{address: "10.0.0.2", zone: "z1", labels: version: "v2"}, {address: "10.0.0.3", labels: version: "v1"}]`,
}

// edited is the mesh after one edit or several.
func (m randomMesh) edited() *randomMesh {
	if m.spec == nil || m.IntN(10) == 0 {
		m.spec = m.Spec()
	} else {
		m.spec = m.Edited(m.spec)
	}
	for range m.IntN(3) {
		i := m.IntN(len(m.around))
		timeout := fmt.Sprintf("timeout: \"%ds\"", 1+m.IntN(5))
		m.around[i] = []string{"", timeout, "ports: more: {port: 8081, protocol: \"tcp\"}, " + timeout}[m.IntN(3)]
	}
	if m.IntN(5) == 0 {
		m.hosts = workloads[m.IntN(len(workloads))]
	}
	return &m
}

func (m *randomMesh) text() string {
	text := m.spec.Text()
	if m.hosts != "" {
		text = strings.Replace(text, `workload: deployment: "b"`, "workload: endpoints: "+m.hosts, 1)
	}
	for i, settings := range m.around {
		if settings == "" && i > 0 { // it is not there
			continue
		}
		text += fmt.Sprintf("services: s%d: {workload: deployment: \"s%[1]d\", ports: http: {port: 8080, protocol: \"http\"}, "+
			"allow: [{from: anyone: true}], uses: {x: {}, s0: {}}, %s}\n", i, settings)
	}
	text = strings.Replace(text, ", s0: {}}", "}", 1) // nobody calls itself
	return text + "external: x: {hosts: [\"x.example\"], ports: https: {port: 443, protocol: \"tls\"}}\n"
}

// TestChangesReachWhomTheyConcern edits random meshes at random, with their instances, with proxies of all members
// connected: each proxy is served what is rendered for it alone, in every stage of every change.
func TestChangesReachWhomTheyConcern(t *testing.T) {
	seed := trytest.Seed(t)
	m := &randomMesh{Random: &trytest.Random{Rand: rand.New(rand.NewPCG(seed, 0)), Keys: `"{\"keys\": []}"`}}
	r, dir := start(t), t.TempDir()
	var reader ir.Reader
	for n := 0; n < trytest.Amount(os.Getenv("MESHC_EDITS"), 50); {
		edited := m.edited()
		compiled := compiletest.Compile(t, dir, map[string]string{"mesh.cue": edited.text()})
		if compiled.Mesh == nil {
			continue
		}
		m = edited
		n++
		mesh, err := reader.Keep(unplaced(t, compiled.Mesh))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.SetMesh(mesh); err != nil {
			t.Fatal(err)
		}
		connectAll(t, r.Server, mesh)
		for more := true; more; more = r.Advance() {
			if unlike := r.Unlike(); len(unlike) > 0 {
				t.Fatalf("edit %d: %s are served something else than is rendered for each alone", n, unlike)
			}
		}
		r.setPods(m.Rand, mesh)
		if unlike := r.Unlike(); len(unlike) > 0 {
			t.Fatalf("edit %d: with other pods %s are served something else than is rendered for each alone", n, unlike)
		}
	}
}

// connectAll connects instances of all members, Envoys and a gRPC client of each service.
func connectAll(t *testing.T, s *serve.Server, m *ir.Mesh) {
	t.Helper()
	join := func(id, agent string, identity spiffeid.ID) {
		if err := s.Join(&corev3.Node{Id: id, UserAgentName: agent}, identity); err != nil {
			t.Fatal(err)
		}
	}
	for _, service := range m.Services {
		instances := []string{"one", "two", "three"}
		for _, e := range service.Workload.Endpoints {
			instances = append(instances, e.Name)
		}
		for _, instance := range instances {
			join("service/"+service.Name+"/"+instance, "envoy", service.Identity)
		}
		join("service/"+service.Name+"/client", "gRPC Go", service.Identity)
	}
	for _, gateway := range m.Gateways {
		join("gateway/"+gateway.Name+"/one", "envoy", gateway.Identity)
		join("gateway/"+gateway.Name+"/two", "envoy", gateway.Identity)
	}
}

// setPods gives some services other pods.
func (r *running) setPods(random *rand.Rand, m *ir.Mesh) {
	pods := map[string][]live.Endpoint{}
	for i, service := range m.Services {
		for n := range random.IntN(3) {
			pods[service.PlainName()] = append(pods[service.PlainName()], live.Endpoint{Endpoint: ir.Endpoint{
				Name: []string{"one", "two"}[n], Address: fmt.Sprintf("10.1.%d.%d", i, n), Zone: "z1",
			}})
		}
	}
	r.SetPods("default", pods)
}

// unplaced is a mesh that does not say where things were written: proxies keep a configuration that has only moved.
func unplaced(t *testing.T, m *ir.Mesh) *ir.Mesh {
	t.Helper()
	data, err := ir.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if m, err = ir.Unmarshal(placed.ReplaceAll(data, nil)); err != nil {
		t.Fatal(err)
	}
	return m
}

var placed = regexp.MustCompile(`,"pos":"[^"]*"`)
