package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/host/local"
)

// described is a mesh of a client and a server, and the request that is sent in it.
type described struct {
	name   string
	mesh   string // fields of mesh, in CUE
	server string // and of services.server
	header http.Header
	// silent has the proxies count nothing.
	silent bool
}

// meshes are those that are measured: the first has nothing but what every mesh has.
var meshes = []described{
	{name: "mesh", server: `allow: [{from: services: ["client"]}]`},
	{name: "mesh, no metrics", server: `allow: [{from: services: ["client"]}]`, silent: true},
	{name: "mesh, 20 rules by path and header", server: rules(20), header: http.Header{"X-Plan": {"gold"}}},
	{name: "mesh, 50 routes", server: routes(50)},
	{
		name: "mesh, with operators who tap nothing", server: `allow: [{from: services: ["client"]}]`,
		mesh: `operators: identities: ["spiffe://bench.example/ns/bench/sa/client"]`,
	},
}

// rules are so many rules for other paths and the one that allows the request, last.
func rules(n int) string {
	var b strings.Builder
	b.WriteString("allow: [\n")
	for i := range n - 1 {
		fmt.Fprintf(&b, "\t{from: services: [\"client\"], methods: [\"GET\"], paths: [\"/other-%d/*\"], headers: \"x-plan\": exact: \"gold\"},\n", i)
	}
	b.WriteString("\t{from: services: [\"client\"], methods: [\"GET\"], paths: [\"/items/*\"], headers: \"x-plan\": exact: \"gold\"},\n]")
	return b.String()
}

// routes are so many routes, the last of which takes the request.
func routes(n int) string {
	var b strings.Builder
	b.WriteString("allow: [{from: services: [\"client\"]}]\nroutes: [\n")
	for i := range n - 1 {
		fmt.Fprintf(&b, "\t{name: \"other-%d\", match: path: prefix: \"/other-%d/\", timeout: \"3s\"},\n", i, i)
	}
	b.WriteString("\t{name: \"items\", match: path: prefix: \"/items/\", timeout: \"3s\"},\n]")
	return b.String()
}

const spec = `package bench

mesh: {
	name:        "bench"
	trustDomain: "bench.example"
	%s
}

services: {
	client: {
		namespace: "bench"
		workload: deployment: "client"
		uses: server: {}
	}
	server: {
		namespace: "bench"
		workload: deployment: "server"
		ports: http: {port: 8080, protocol: "http"}
		%s
	}
}
`

// startMesh runs the mesh, and returns the pair of its proxies.
func startMesh(ctx context.Context, dir string, d described) (*pair, error) {
	for name, content := range map[string]string{
		"cue.mod/module.cue": "module: \"bench.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n",
		"mesh.cue":           fmt.Sprintf(spec, d.mesh, d.server),
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			return nil, err
		}
	}
	result, err := compiler.Compile(ctx, compiler.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	if result.Mesh == nil {
		return nil, fmt.Errorf("it does not compile: %v", result.Diagnostics)
	}
	run := filepath.Join(dir, "run")
	o := local.Options{Mesh: result.Mesh, Directory: run}
	if d.silent {
		o.Build = silently
	}
	mesh, err := local.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	placed := mesh.Placed()
	client := placed.Service("client")
	use, scope := &client.Uses[0], placed.ServiceScope(client)
	pids, err := envoys(run)
	if err == nil && len(pids) != 2 {
		err = fmt.Errorf("%d Envoys run, instead of two", len(pids))
	}
	if err != nil {
		return nil, err
	}
	return &pair{
		name: d.name, address: use.Bind("http", scope.Loopback(client.Workload.Endpoints[0].Name)),
		header: d.header, pids: pids, stop: mesh.Stop, mesh: mesh,
	}, nil
}

// envoys are the processes that run on a configuration below the directory.
func envoys(dir string) ([]int, error) {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range lines {
		line, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(line), "\x00-c\x00"+dir+"/") {
			continue // it has ended, or is another
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// target is where the application of the server's instance listens.
func target(m *ir.Mesh) (address string, port uint16) {
	s := m.Service("server")
	scope := m.ServiceScope(s)
	instance := &s.Workload.Endpoints[0]
	return scope.Loopback(instance.Name), instance.Targets["http"]
}
