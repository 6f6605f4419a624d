package local

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/review/config"
)

// dumpOf is what a proxy's Envoy says that it has.
func dumpOf(t *testing.T, m *Mesh, id string) *config.Dump {
	t.Helper()
	for _, p := range m.sortedProxies() {
		if p.id != id {
			continue
		}
		answer, err := m.http.Get("http://" + p.admin + "/config_dump?include_eds")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		data, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		dump, err := config.ParseDump(data)
		if err != nil {
			t.Fatal(err)
		}
		return dump
	}
	t.Fatalf("the mesh has no proxy %s", id)
	return nil
}

// statesOf are a proxy's resources as a mesh compiles to them, as they are served and as its Envoy has them.
func statesOf(t *testing.T, m *Mesh, compiled *ir.Mesh, id string) config.States {
	t.Helper()
	dump := dumpOf(t, m, id)
	if dump.Node != id {
		t.Errorf("the Envoy of %s says that it is %s", id, dump.Node)
	}
	kind, name, instance, err := envoy.ParseNodeID(id)
	if err != nil {
		t.Fatal(err)
	}
	states, o := config.States{Envoy: dump.Static}, envoy.Options{Instance: instance}
	if m.control != nil {
		served, err := m.control.server.Configuration(id)
		if err != nil || served == nil {
			t.Fatalf("%s is served %v, %v", id, served, err)
		}
		states.Served, states.Envoy, o = served.Resources, dump.Dynamic, served.Options
	}
	states.Compiled, err = config.Compiled(compiled, ir.Ref{Kind: kind, Name: name}, o, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return states
}

// differing are the resources in which the places differ, as lines, and how many there are in all.
func differing(t *testing.T, s config.States) (text string, all int) {
	t.Helper()
	rows, err := config.Compare(s)
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		if r := &rows[i]; r.Differs {
			text += fmt.Sprintf("%s %s (%s)\n", r.Type, r.Name, r.Source)
			for _, v := range []*config.Version{r.Compiled, r.Served, r.Envoy} {
				if v != nil && v.Note != "" {
					text += "  " + v.Note + "\n"
				}
			}
		}
	}
	return text, len(rows)
}

// TestConfigurationIsWhatEnvoyHas compares what every proxy of a mesh with a gateway, an egress gateway, an external
// and several protocols should have, is served and has: it is the same, with both deliveries. A mesh in which lines
// have moved is the same, and one with another timeout differs in that route.
func TestConfigurationIsWhatEnvoyHas(t *testing.T) {
	for name, settings := range map[string]string{"xds": "", "static": staticDelivery} {
		t.Run(name, func(t *testing.T) {
			text := strings.NewReplacer(`trustDomain: "shop.example",`, `trustDomain: "shop.example", `+settings,
				"listeners: http: port: 80",
				`listeners: {http: port: 80, https: {port: 443, hosts: ["shop.example"], tls: secret: "shop-tls"}}`,
			).Replace(metricsMesh)
			m := start(t, inline(t, map[string]string{"mesh.cue": text}))
			moved := strings.Replace(text, "services: {", "// a line\n\nservices: {", 1)
			slower := strings.Replace(text, `name: "items", `, `name: "items", timeout: "7s", `, 1)
			for _, p := range m.sortedProxies() {
				text, all := differing(t, statesOf(t, m, m.Placed(), p.id))
				if text != "" || all < 2 {
					t.Errorf("%s: %d resources, of which differ:\n%s", p.id, all, text)
				}
				if text, _ := differing(t, statesOf(t, m, placedLike(t, m, moved), p.id)); text != "" {
					t.Errorf("%s: lines have moved, and these differ:\n%s", p.id, text)
				}
				text, _ = differing(t, statesOf(t, m, placedLike(t, m, slower), p.id))
				if calls := p.id == "service/client/a" || p.id == "gateway/edge/a"; (text != "") != calls {
					t.Errorf("%s: the timeout of a route is another, and these differ:\n%s", p.id, text)
				}
			}
		})
	}
}

// placedLike is a mesh of another spec at the places of a running one.
func placedLike(t *testing.T, m *Mesh, text string) *ir.Mesh {
	t.Helper()
	placed, err := m.placement.Place(inline(t, map[string]string{"mesh.cue": text}))
	if err != nil {
		t.Fatal(err)
	}
	return placed
}

// TestConfigurationTellsRefusals serves an Envoy a listener that it refuses: it keeps the one before, says why, and the
// other resources are the same.
func TestConfigurationTellsRefusals(t *testing.T) {
	var broken atomic.Bool
	linked := inline(t, map[string]string{"mesh.cue": metricsMesh})
	build := func(s ir.Scope, o envoy.Options) (*envoy.Resources, error) {
		r, err := envoy.Build(s, o)
		if err == nil && broken.Load() && s.Gateway != nil {
			r.Listeners[0].Address = nil
		}
		return r, err
	}
	m, err := Start(t.Context(), Options{Mesh: linked, Build: build})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Stop(); err != nil {
			t.Error(err)
		}
	}()
	broken.Store(true)
	slower := strings.Replace(metricsMesh, `routes: [{match: {host: "shop.`, `routes: [{timeout: "9s", match: {host: "shop.`, 1)
	if err := m.Update(t.Context(), inline(t, map[string]string{"mesh.cue": slower})); err == nil {
		t.Fatal("the Envoy took a listener without an address")
	}
	states := statesOf(t, m, m.Placed(), "gateway/edge/a")
	got, _ := differing(t, states)
	if !strings.Contains(got, "the next version was refused: ") || strings.Count(got, "\n") != 2 {
		t.Errorf("differing:\n%s", got)
	}
}
