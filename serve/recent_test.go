package serve_test

import (
	"encoding/json"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/live"
	"github.com/meshc/meshc/serve"
)

// TestRecentTellsWhatChanged loads two meshes and lets the instances of a service leave and come back, and wants the
// server to tell of each, and to answer with either mesh.
func TestRecentTellsWhatChanged(t *testing.T) {
	r := start(t)
	first := compileSpec(t, inCluster)
	second := compileSpec(t, inCluster+`services: later: {workload: deployment: "later", ports: http: {port: 80, protocol: "http"}}`)
	for _, m := range []*ir.Mesh{first, second} {
		if err := r.SetMesh(m); err != nil {
			t.Fatal(err)
		}
	}
	at := func(addresses ...string) map[string][]live.Endpoint {
		var list []ir.Endpoint
		for _, a := range addresses {
			list = append(list, ir.Endpoint{Name: a, Address: a, Zone: "a", Weight: 1})
		}
		return map[string][]live.Endpoint{"cart": live.Healthy(list)}
	}
	r.SetPods("default", at("10.0.0.1", "10.0.0.2"))
	r.ChangePods("default", at())
	r.ChangePods("default", at("10.0.0.3"))
	r.ChangePods("default", at("10.0.0.3")) // which is no change

	var got serve.Recent
	_, told := fetch(t, r, "/recent")
	if err := json.Unmarshal([]byte(told), &got); err != nil {
		t.Fatal(err)
	}
	moves := got.Moves["cart"]
	if len(moves) != 3 || moves[0].Came != 2 || moves[0].Left != 2 || moves[1].Went != 2 || moves[1].Left != 0 ||
		moves[2].Came != 1 || moves[2].Went != 0 || moves[2].Left != 1 {
		t.Errorf("the instances moved by %+v", moves)
	}
	if list := got.Instances["cart"]; len(list) != 1 || list[0].Address != "10.0.0.3" || list[0].Zone != "a" {
		t.Errorf("the instances are %v", list)
	}
	if len(got.Meshes) != 2 {
		t.Fatalf("the meshes are %v", got.Meshes)
	}
	for i, want := range []*ir.Mesh{first, second} {
		_, told := fetch(t, r, "/mesh?hash="+got.Meshes[i].Hash)
		m, err := ir.Unmarshal([]byte(told))
		if err != nil || len(m.Services) != len(want.Services) {
			t.Errorf("the mesh %s is another one: %v", got.Meshes[i].Hash, err)
		}
	}
}
