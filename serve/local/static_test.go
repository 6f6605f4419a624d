package local

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/examples/backend/app"
)

// start runs a mesh until the test ends.
func start(t testing.TB, m *ir.Mesh) *Mesh {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	begun := time.Now()
	mesh, err := Start(ctx, Options{Mesh: m})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s is up after %s", m.Name, time.Since(begun))
	t.Cleanup(func() {
		if err := mesh.Stop(); err != nil {
			t.Error(err)
		}
	})
	return mesh
}

// get sends a GET and returns the answer's status and its report, if it has one.
func get(t testing.TB, c *http.Client, url string) (int, *app.Report) {
	t.Helper()
	answer, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var r app.Report
	if json.Unmarshal(body, &r) != nil || r.Service == "" {
		t.Logf("GET %s: %s: %s", url, answer.Status, body)
		return answer.StatusCode, nil
	}
	return answer.StatusCode, &r
}

// Envoys run from files alone: nobody sends them anything.
func TestStaticDelivery(t *testing.T) {
	mesh := start(t, compile(t, "../../examples/hosts"))
	if mesh.control != nil {
		t.Fatal("meshc serve runs")
	}
	status, r := get(t, http.DefaultClient, mesh.Gateway("edge").URL+"/?via=orders:/orders/1,database")
	if status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	hops := r.Hops()
	if len(hops) != 3 || hops[1].Peer != "spiffe://hosts.example/ns/default/sa/web" || hops[2].Service != "database" {
		t.Errorf("hops %+v", r)
	}
}
