//go:build e2e

package local

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	promquery "github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// TestDashboardsHaveData runs a real Prometheus beside real Envoys, whose traffic has failures, denied requests and
// connections: each query of each panel and of each variable has data, as a reader of the dashboard sees it who has
// chosen the busiest service.
func TestDashboardsHaveData(t *testing.T) {
	m := start(t, inline(t, map[string]string{
		"mesh.cue": scraperMesh(`scraper: {namespace: "monitoring", identity: "spiffe://shop.example/ns/monitoring/sa/prometheus"}`) + promised,
	}))
	dir := observed(t, m)
	p := runPrometheus(t, dir)
	client := m.As("client").Client()
	asked := map[string]string{} // where each query is
	for _, name := range []string{"mesh", "service", "edge", "control-plane"} {
		for where, expr := range queriesOf(t, filepath.Join(dir, name+".json")) {
			asked[name+": "+where] = expr
		}
	}
	if len(asked) < 60 {
		t.Errorf("there are only %d queries", len(asked))
	}
	for deadline := time.Now().Add(2 * time.Minute); len(asked) > 0 && time.Now().Before(deadline); time.Sleep(poll) {
		get(t, client, "http://server:8080/items/1")
		send(t, client, http.MethodGet, "http://server:8080/items/1?status=503")
		send(t, client, http.MethodGet, "http://server:8080/secret/1")
		get(t, http.DefaultClient, m.Gateway("edge").URL+"/items/2", "host", "shop.example")
		someBytes(t, m, "client", "server:9000")
		for where, expr := range asked {
			if p.count(t, expr) > 0 {
				delete(asked, where)
			}
		}
	}
	for where, expr := range asked {
		t.Errorf("%s has no data: %s", where, expr)
	}
}

// queriesOf are the queries of a dashboard with the choices of its reader in place, by where they are. Its JSON is held
// against Grafana's schema.
func queriesOf(t *testing.T, file string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	plugins.RegisterDefaultPlugins()
	// The strict reading returns an empty list for no errors, and keeps no panels.
	if err := new(dashboard.Dashboard).UnmarshalJSONStrict(data); err != nil && err.Error() != "" {
		t.Fatalf("%s: %v", file, err)
	}
	var d dashboard.Dashboard
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	chosen := strings.NewReplacer("$namespace", ".*", "$service", "server.shop", "$caller", ".*")
	out := map[string]string{}
	for i := range d.Templating.List {
		v := &d.Templating.List[i]
		if v.Query == nil || v.Query.String == nil || v.Name == "datasource" {
			continue
		}
		inner := strings.TrimSuffix(strings.TrimPrefix(*v.Query.String, "label_values("), ")")
		cut := strings.LastIndex(inner, ", ")
		out["variable "+v.Name] = chosen.Replace("count by (" + inner[cut+2:] + ") (" + inner[:cut] + ")")
	}
	panels := 0
	for _, either := range d.Panels {
		if either.Panel == nil {
			continue
		}
		panels++
		if either.Panel.Description == nil || *either.Panel.Description == "" {
			t.Errorf("%s: panel %s has no description", file, *either.Panel.Title)
		}
		for _, target := range either.Panel.Targets {
			q, ok := target.(*promquery.Dataquery)
			if !ok {
				t.Fatalf("%s: a query is a %T", file, target)
			}
			out[*either.Panel.Title+" "+*q.RefId] = chosen.Replace(q.Expr)
		}
	}
	if panels == 0 {
		t.Errorf("%s has no panels", file)
	}
	return out
}
