package local

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
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

// Instances come, go, fall ill and change their weight and version as another
// program says, without a failed request.
//
// Field: workload.file
func TestEndpointsFile(t *testing.T) {
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
	placed := mesh.Placed().Service("found").Workload.Endpoints
	type endpoint map[string]any
	at := func(i int, version string) endpoint {
		return endpoint{
			"address": placed[i].Address, "local": true, "port": placed[i].Ports["http"],
			"labels": map[string]string{"version": version},
		}
	}
	write := func(content any) {
		t.Helper()
		data, err := json.Marshal(content)
		if text, raw := content.(string); raw {
			data = []byte(text)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, ".found.json"), data, 0o600)
		}
		if err == nil {
			err = os.Rename(filepath.Join(dir, ".found.json"), filepath.Join(dir, "found.json"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c := mesh.As("client").Client()
	const url = "http://found:8081/"
	write([]endpoint{at(0, "a")})
	eventually(t, "the first instance", func() bool { return send(t, c, http.MethodGet, url).status == http.StatusOK })
	steady := startLoad(t, c, url)
	by := func(headers ...string) map[string]int { return versions(t, c, 40, always(url), headers...) }

	write([]endpoint{at(0, "a"), at(1, "b")})
	eventually(t, "the second instance", func() bool { return len(by()) == 2 })
	if n := by("x-version", "b")["b"]; n != 40 {
		t.Errorf("%d of 40 requests for version b went there", n)
	}
	ill := at(1, "b")
	ill["healthy"] = false
	write([]endpoint{at(0, "a"), ill})
	eventually(t, "requests for the healthy one alone", func() bool { return by()["a"] == 40 })
	write([]endpoint{at(1, "b")})
	eventually(t, "the going of the first", func() bool { return by()["b"] == 40 })
	heavy := at(0, "a")
	heavy["weight"] = 100
	write([]endpoint{heavy, at(1, "b")})
	eventually(t, "the weight of the first", func() bool { return by()["a"] >= 35 })
	write([]endpoint{at(0, "b"), at(1, "a")}) // their versions change places
	eventually(t, "the version of the first", func() bool { return by("x-version", "b")["a"] == 40 })

	for content, why := range map[string]string{
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
	} {
		write(content)
		eventually(t, why, func() bool { return strings.Contains(mesh.control.server.Status().Endpoints, why) })
		if len(by()) != 2 {
			t.Errorf("%s: the last good content does not hold", why)
		}
	}
	write([]endpoint{at(0, "a")})
	eventually(t, "a good file", func() bool { return mesh.control.server.Status().Endpoints == "" })
	steady.end(t)
}
