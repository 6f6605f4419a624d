package local

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
)

const found = `package found

mesh: {name: "found", trustDomain: "found.example"}

services: client: {
	workload: deployment: "client"
	uses: found: {}
}
services: found: {
	workload: file: "found.json"
	ports: http: {port: 8081, protocol: "http"}
	versions: {a: labels: version: "a", b: labels: version: "b"}
	routes: [{match: headers: "x-version": exact: "b", to: [{version: "b"}]}]
	allow: [{from: services: ["client"]}]
}
`

// foundMesh is the mesh above, with the file that says where the instances of found are.
type foundMesh struct {
	*Mesh
	dir    string
	client *http.Client
	// placed are the two instances that run.
	placed []ir.Endpoint
}

func startFound(t *testing.T) *foundMesh {
	t.Helper()
	dir := t.TempDir()
	mesh, err := Start(t.Context(), Options{Mesh: inline(t, map[string]string{"mesh.cue": found}), Endpoints: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := mesh.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &foundMesh{mesh, dir, mesh.As("client").Client(), mesh.Placed().Service("found").Workload.Endpoints}
}

// foundURL is where the client calls.
const foundURL = "http://found:8081/"

type foundEndpoint map[string]any

// endpoint is one of the instances that run, as the file has it.
func (f *foundMesh) endpoint(i int, version string) foundEndpoint {
	return foundEndpoint{
		"address": f.placed[i].Address, "local": true, "port": f.placed[i].Ports["http"],
		"labels": map[string]string{"version": version},
	}
}

// write replaces the file by endpoints, or by a text that need not be any.
func (f *foundMesh) write(t *testing.T, content any) {
	t.Helper()
	data, err := json.Marshal(content)
	if text, raw := content.(string); raw {
		data = []byte(text)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(f.dir, ".found.json"), data, 0o600)
	}
	if err == nil {
		err = os.Rename(filepath.Join(f.dir, ".found.json"), filepath.Join(f.dir, "found.json"))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// countVersions counts which versions answer 40 requests.
func (f *foundMesh) countVersions(t *testing.T, headers ...string) map[string]int {
	t.Helper()
	return versions(t, f.client, 40, always(foundURL), headers...)
}

// Instances come, go, fall ill and change their weight and version as another
// program says, without a failed request.
//
// Field: workload.file
func TestEndpointsFile(t *testing.T) {
	f := startFound(t)
	f.write(t, []foundEndpoint{f.endpoint(0, "a")})
	eventually(t, "the first instance", func() bool {
		return send(t, f.client, http.MethodGet, foundURL).status == http.StatusOK
	})
	steady := startLoad(t, f.client, foundURL)
	f.instancesChange(t)
	for content, why := range wrongEndpoints {
		f.isRefused(t, content, why)
	}
	f.write(t, []foundEndpoint{f.endpoint(0, "a")})
	eventually(t, "a good file", func() bool { return f.control.server.Status().Endpoints == "" })
	steady.end(t)
}

// instancesChange has a second instance come and fall ill, the first go and come back with more weight, and the two
// change their versions.
func (f *foundMesh) instancesChange(t *testing.T) {
	t.Helper()
	f.write(t, []foundEndpoint{f.endpoint(0, "a"), f.endpoint(1, "b")})
	eventually(t, "the second instance", func() bool { return len(f.countVersions(t)) == 2 })
	if n := f.countVersions(t, "x-version", "b")["b"]; n != 40 {
		t.Errorf("%d of 40 requests for version b went there", n)
	}
	ill := f.endpoint(1, "b")
	ill["healthy"] = false
	f.write(t, []foundEndpoint{f.endpoint(0, "a"), ill})
	eventually(t, "requests for the healthy one alone", func() bool { return f.countVersions(t)["a"] == 40 })
	f.write(t, []foundEndpoint{f.endpoint(1, "b")})
	eventually(t, "the going of the first", func() bool { return f.countVersions(t)["b"] == 40 })
	heavy := f.endpoint(0, "a")
	heavy["weight"] = 100
	f.write(t, []foundEndpoint{heavy, f.endpoint(1, "b")})
	eventually(t, "the weight of the first", func() bool { return f.countVersions(t)["a"] >= 35 })
	f.write(t, []foundEndpoint{f.endpoint(0, "b"), f.endpoint(1, "a")}) // their versions change places
	eventually(t, "the version of the first", func() bool { return f.countVersions(t, "x-version", "b")["a"] == 40 })
}

// wrongEndpoints are contents of the file that are not valid, and why.
var wrongEndpoints = map[string]string{
	`[{"address": "10.0.0.1"`: "ends before the list does",
	``:                        "ends before the list does",
	`null`:                    "must be a list of endpoints",
	`{}`:                      "it is an object and must be a list",
	`[{"address": "10.0.0.1", "weight": "a"}]`:           "weight is a string",
	`[{"address": "10.0.0.1"}, {"address": "10.0.0.1"}]`: "is that of endpoint 0 too",
	`[{"address": "10.0.0.1", "ports": {"nope": 1}}]`:    `has no port "nope"`,
	`[{"address": "found.example"}]`:                     "must be the IP address",
	`[{"address": "10.0.0.1", "weight": 0}]`:             "weight is 0",
	`[{"address": "10.0.0.1", "wait": 1}]`:               "unknown field",
	`[{"address": "10.0.0.1", "port": 65536}]`:           "port",
	`[{"address": "10.0.0.1", "ports": {"http": 0}}] `:   "http is 0",
	`[{"address": "127.0.0.1"}]`:                         "is loopback, the proxy's own host: a proxy would connect to it on behalf of its callers; local: true allows it",
	`[{"address": "::ffff:169.254.1.1", "local": true}]`: "is link-local",
	`[] []`: "something follows",
}

// isRefused writes a content that is not valid: the status says why, and the last good one holds.
func (f *foundMesh) isRefused(t *testing.T, content, why string) {
	t.Helper()
	f.write(t, content)
	eventually(t, why, func() bool { return strings.Contains(f.control.server.Status().Endpoints, why) })
	if len(f.countVersions(t)) != 2 {
		t.Errorf("%s: the last good content does not hold", why)
	}
}
