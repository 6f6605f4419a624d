package local

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try/trytest"
)

// churn is a mesh whose instances change all the time: client calls every service, and each one has an endpoints file
// and a route with a timeout that is edited.
type churn struct {
	*Mesh
	dir      string
	services int
}

// spec is that of the mesh after so many edits.
func (c *churn) spec(t *testing.T, edits int) *ir.Mesh {
	t.Helper()
	return inline(t, map[string]string{"mesh.cue": fmt.Sprintf(`package churn

import "list"

#names: [for i in list.Range(0, %d, 1) {"s\(i)"}]

mesh: {name: "churn", trustDomain: "churn.example"}
services: client: {
	workload: deployment: "client"
	uses: {for name in #names {(name): {}}}
}
services: {for name in #names {(name): {
	workload: file: "\(name).json"
	ports: http: {port: 8081, protocol: "http"}
	versions: {a: labels: version: "a", b: labels: version: "b"}
	routes: [{timeout: "%dms"}]
	allow: [{from: services: ["client"]}]
}}}
`, c.services, 20000+edits)})
}

// event changes the instances of a service: one is gone, or the other, or both are there with other weights than
// before.
func (c *churn) event(t *testing.T, service string, n int) {
	t.Helper()
	type endpoint struct {
		Address string `json:"address"`
		Local   bool   `json:"local"`
		Port    uint16 `json:"port"`
		Weight  int    `json:"weight"`
		// Labels say which version it is, as its application does.
		Labels map[string]string `json:"labels"`
	}
	var list []endpoint
	for i, e := range c.Placed().Service(service).Workload.Endpoints {
		if gone := n % 3; gone != i+1 {
			list = append(list, endpoint{e.Address, true, e.Ports["http"], 1 + n%100, e.Labels})
		}
	}
	data, err := json.Marshal(list)
	hidden := filepath.Join(c.dir, "."+service)
	if err == nil {
		err = os.WriteFile(hidden, data, 0o600)
	}
	if err == nil {
		err = os.Rename(hidden, filepath.Join(c.dir, service+".json"))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestChurnLosesNothing changes the instances of services and edits the mesh under load, and no request fails. It is
// counted in requests, and not in seconds: a slow machine takes longer. MESHC_CHURN is how often instances change;
// with 1000 there are 31 Envoys, some 200 requests a second and 50 edits.
func TestChurnLosesNothing(t *testing.T) {
	const few, eachEdit = 40, 20
	events := trytest.Amount(os.Getenv("MESHC_CHURN"), few)
	c, pause, eachEvent := &churn{dir: t.TempDir(), services: 2}, 5*time.Millisecond, int64(20)
	if events > few {
		c.services, pause, eachEvent = 15, 75*time.Millisecond, 60
	}
	mesh, err := Start(t.Context(), Options{Mesh: c.spec(t, 0), Endpoints: c.dir})
	if err != nil {
		t.Fatal(err)
	}
	c.Mesh = mesh
	t.Cleanup(func() {
		if err := mesh.Stop(); err != nil {
			t.Error(err)
		}
	})
	var loads []*load
	for i := range c.services {
		name := fmt.Sprintf("s%d", i)
		client, url := c.As("client").Client(), "http://"+name+":8081/"
		c.event(t, name, 0)
		eventually(t, name, func() bool { return send(t, client, http.MethodGet, url).status == http.StatusOK })
		loads = append(loads, startPacedLoad(t, client, url, 1, pause))
	}
	sent := func() (all int64) {
		for _, l := range loads {
			all += l.sent.Load()
		}
		return all
	}
	edits := 0
	for n := 1; n <= events && !t.Failed(); n++ {
		before := sent()
		c.event(t, fmt.Sprintf("s%d", n%c.services), n)
		if n%eachEdit == 0 {
			edits++
			if err := c.Update(t.Context(), c.spec(t, edits)); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "requests", func() bool { return sent() >= before+eachEvent })
	}
	for i, l := range loads {
		name := fmt.Sprintf("s%d", i)
		c.event(t, name, 0)
		client := c.As("client").Client()
		eventually(t, "both instances of "+name, func() bool {
			return len(versions(t, client, 40, always("http://"+name+":8081/"))) == 2
		})
		l.end(t)
	}
	if report := c.control.server.Status(); !report.Good() {
		t.Errorf("at the end the proxies do not have everything: %+v", report)
	}
	t.Logf("%d changes of instances, %d edits", events, edits)
}
