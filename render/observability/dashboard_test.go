package observability

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"github.com/meshc/meshc/compiler/ir"
)

//lint:file-ignore SA1019 Grafana's provisioning of files and its sidecar read this form of dashboards

// Dashboards are what Grafana's schema has, strictly, for any name of a mesh, with a server and without. A name in an
// address has at most 40 characters there.
func TestDashboardsFollowTheSchema(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	seen := map[string]bool{}
	for _, name := range []string{"shop", strings.Repeat("a-", 31) + "b"} {
		for _, delivery := range []ir.Delivery{ir.DeliveryXDS, ir.DeliveryStatic} {
			metrics := &ir.Metrics{Scraper: &ir.Scraper{}}
			m := &ir.Mesh{Settings: ir.Settings{Name: name, Delivery: delivery, Metrics: metrics}}
			files, err := dashboards(m)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				// The strict reading returns an empty list for no errors, and keeps no panels.
				if err := new(dashboard.Dashboard).UnmarshalJSONStrict(f.Data); err != nil && err.Error() != "" {
					t.Fatalf("%s: %v", f.Path, err)
				}
				var d dashboard.Dashboard
				if err := json.Unmarshal(f.Data, &d); err != nil {
					t.Fatalf("%s: %v", f.Path, err)
				}
				if d.Uid == nil || len(*d.Uid) > 40 || seen[*d.Uid+string(delivery)] {
					t.Errorf("%s: uid %v", f.Path, *d.Uid)
				}
				seen[*d.Uid+string(delivery)] = true
				described(t, f.Path, &d)
			}
		}
	}
}

// described wants a description on each panel, and its data from the Prometheus that was chosen.
func described(t *testing.T, file string, d *dashboard.Dashboard) {
	t.Helper()
	panels := 0
	for _, either := range d.Panels {
		p := either.Panel
		if p == nil {
			continue
		}
		panels++
		if p.Description == nil || len(*p.Description) < 40 {
			t.Errorf("%s: panel %s does not say what to do", file, *p.Title)
		}
		if p.Datasource == nil || *p.Datasource.Uid != "${datasource}" {
			t.Errorf("%s: panel %s has another datasource", file, *p.Title)
		}
	}
	if panels < 3 {
		t.Errorf("%s has %d panels", file, panels)
	}
}
