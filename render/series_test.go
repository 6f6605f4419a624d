package render_test

import (
	"strings"
	"testing"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	statsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stats/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/series"
	"github.com/meshc/meshc/render/envoy"
)

// TestRenderedSeriesAreCompiled holds a mesh with everything to its compiled series, as each mesh is that an Envoy
// judges (TestFeatures, TestExamples, TestRandomSpecsPleaseEnvoy).
func TestRenderedSeriesAreCompiled(t *testing.T) {
	compiledSeries(t, compiled(t, marks.ReplaceAllString(everything, "")))
}

// compiledSeries holds what is rendered for the proxies of a mesh to what compiler/series says of them: every listener
// that counts, every way that a route or a connection can go and every rule that can let a request in is in the set,
// and the set has no more ways than a few whose routes no request can take.
func compiledSeries(t *testing.T, m *ir.Mesh) {
	t.Helper()
	proxies := series.OfMesh(m)
	for i, scope := range m.Scopes() {
		r, err := envoy.Build(scope, envoy.Options{})
		if err != nil {
			t.Fatal(err)
		}
		w := counted{t: t, set: proxies[i].Set, member: scope.Member(), resources: r, room: series.Of(&scope).Room()}
		w.routes, w.says = map[string]*routev3.RouteConfiguration{}, map[string][3]string{}
		w.found = map[series.Way]bool{}
		for _, c := range r.Routes {
			w.routes[c.Name] = c
		}
		for _, c := range r.Clusters {
			f := c.GetMetadata().GetFilterMetadata()["meshc"].GetFields()
			w.says[c.Name] = [3]string{
				f["callee"].GetStringValue(), f["port"].GetStringValue(), f["version"].GetStringValue(),
			}
		}
		w.listeners()
		alone, all := series.Of(&scope).Cost().Failures, proxies[i].Cost().Failures
		if alone != w.failures || all < alone {
			t.Errorf("the listeners of %s keep %d series of failures, and %d are compiled, of the mesh %d", w.member.Name,
				w.failures, alone, all)
		}
		if of := proxies[i].Passing(); of != w.passing {
			t.Errorf("%s has %d listeners that count what passes, and %d are compiled", w.member.Name, w.passing, of)
		}
		for way := range proxies[i].Ways() {
			client := way.Kind == series.ClientHTTP || way.Kind == series.ClientTCP
			// Behind a gateway's route, or at a gateway's listener that no route is for.
			impossible := strings.Contains(way.Route, "|") ||
				way.Route == series.RefusedRoute && scope.Gateway != nil
			if client && !w.found[way] && !impossible && (way.Callee != "" || way.Route != "") {
				t.Errorf("%s never goes the way %+v", w.member.Name, way)
			}
		}
	}
}

// counted reads the resources of a proxy.
type counted struct {
	t         *testing.T
	set       *series.Set
	member    ir.Member
	resources *envoy.Resources
	routes    map[string]*routev3.RouteConfiguration
	says      map[string][3]string // by cluster: callee, port, version
	found     map[series.Way]bool
	failures  int // that all listeners keep
	passing   int
	room      uint32
}

func (w *counted) listeners() {
	for _, l := range w.resources.Listeners {
		w.kind(l.AccessLog) // of connections that no filter has seen
		chains := l.FilterChains
		if l.DefaultFilterChain != nil {
			chains = append(chains, l.DefaultFilterChain)
		}
		for _, chain := range chains {
			for _, filter := range chain.Filters {
				if filter.GetConfigDiscovery() != nil {
					continue // what is revoked, which counts nothing
				}
				switch config := unpacked(w.t, filter.GetTypedConfig()).(type) {
				case *hcmv3.HttpConnectionManager:
					w.requests(config)
				case *tcpproxyv3.TcpProxy:
					if kind := w.kind(config.AccessLog); kind == series.ClientTCP {
						w.way(kind, config.GetCluster(), "", "")
					}
				}
			}
		}
	}
}

func unpacked(t *testing.T, a *anypb.Any) proto.Message {
	t.Helper()
	m, err := a.UnmarshalNew()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// kind is what the logs count, "" for nothing.
func (w *counted) kind(logs []*accesslogv3.AccessLog) (kind string) {
	for _, log := range logs {
		config, ok := unpacked(w.t, log.GetTypedConfig()).(*statsv3.Config)
		if !ok {
			continue
		}
		most, counts := w.room, ""
		if len(config.Counters) > 0 { // else it is that of durations
			counts = config.Counters[0].Stat.Name
		}
		if of, failures := strings.CutSuffix(counts, ".failures"); failures {
			kind, most = of, config.StatsScope.MaxCounters.GetValue()
			w.failures += int(most)
		}
		if strings.HasPrefix(counts, "undeclared.") {
			most = series.MaxUndeclared
			w.passing++
		}
		if s := config.StatsScope; s.MaxCounters.GetValue() != most || s.MaxHistograms.GetValue() != most {
			w.t.Errorf("%s keeps %d counters of %s", w.member.Name, s.MaxCounters.GetValue(), kind)
		}
	}
	return kind
}

func (w *counted) requests(m *hcmv3.HttpConnectionManager) {
	kind := w.kind(m.AccessLog)
	if kind == "" || kind == series.ServerTCP { // the requests beside probes are refused connections
		return
	}
	for _, host := range w.routes[m.GetRds().GetRouteConfigName()].GetVirtualHosts() {
		for _, r := range host.Routes {
			if kind == series.ServerHTTP {
				w.rules(r)
				continue
			}
			var clusters []string
			if c := r.GetRoute().GetCluster(); c != "" {
				clusters = append(clusters, c)
			}
			for _, c := range r.GetRoute().GetWeightedClusters().GetClusters() {
				clusters = append(clusters, c.Name)
			}
			if clusters == nil {
				clusters = []string{""}
			}
			at := ""
			if pos := envoy.Source(r); pos.IsValid() {
				at = pos.String()
			}
			for _, c := range clusters {
				w.way(kind, c, r.Name, at)
			}
		}
	}
}

func (w *counted) way(kind, cluster, route, at string) {
	says := w.says[cluster]
	way := series.Way{
		Edge:    series.Edge{Kind: kind, Caller: w.member.Identity.String(), Callee: says[0], Port: says[1]},
		Version: says[2], Route: route, Source: at,
	}
	if !w.found[way] && !w.set.Has(way) {
		w.t.Errorf("%s has no compiled series for %+v", w.member.Name, way)
	}
	w.found[way] = true
}

// rules wants those of a route in ways, and no others.
func (w *counted) rules(r *routev3.Route) {
	packed := r.TypedPerFilterConfig["envoy.filters.http.rbac"]
	if packed == nil {
		return
	}
	compiled := map[string]bool{}
	for way := range w.set.Ways() {
		compiled[way.Rule] = true
	}
	for name := range unpacked(w.t, packed).(*rbacv3.RBACPerRoute).GetRbac().GetRules().GetPolicies() {
		if !compiled[name] && name != "callers" {
			w.t.Errorf("%s has no compiled series for the rule %q", w.member.Name, name)
		}
	}
}
