package importer_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/importer"
)

// consulEntry is a config entry as a custom resource.
func consulEntry(kind, name, spec string) string {
	return fmt.Sprintf("---\n{apiVersion: consul.hashicorp.com/v1alpha1, kind: %s, metadata: {name: %q}, spec: {%s}}\n", kind,
		name, spec)
}

// TestRandomIntentions has a service take from random intentions no request that Consul denies, and each that it lets
// in unless import says that it does not carry it over.
func TestRandomIntentions(t *testing.T) {
	inTurns(t, 60, func(t *testing.T, d dice) {
		type said struct {
			action      string
			permissions []consulPermission
		}
		known := map[string]map[string]said{"a": {}, "*": {}}
		standard := d.of("allow", "deny")
		stream := members("a", "b", "c") + consulEntry("ProxyDefaults", "global", "config: {protocol: http}")
		for _, to := range []string{"a", "*"} {
			var sources []string
			for _, from := range []string{"b", "c", "*"} {
				s := said{action: d.of("allow", "deny", "", "none")}
				text := "{name: \"" + from + "\", action: " + s.action + "}"
				switch {
				case s.action == "none" || to == "*" && s.action == "":
					continue
				case s.action == "":
					var list []string
					for range 1 + d.IntN(3) {
						p := consulPermission{
							d.of("allow", "deny"), d.of("", "GET", "POST"), d.of("Exact", "Prefix"), d.of("/", "/x", "/x/"),
						}
						s.permissions = append(s.permissions, p)
						list = append(list, p.String())
					}
					text = "{name: \"" + from + "\", permissions: [" + strings.Join(list, ", ") + "]}"
				}
				known[to][from] = s
				sources = append(sources, text)
			}
			if len(sources) > 0 {
				stream += consulEntry("ServiceIntentions", "i"+strings.Trim(to, "*"), fmt.Sprintf(
					"destination: {name: %q}, sources: [%s]", to, strings.Join(sources, ", ")))
			}
		}
		m, found := meshOf(t, stream, importer.Options{DefaultIntentions: standard})
		told := false
		for _, f := range found {
			told = told || strings.Contains(f.Message, "denials win") || strings.Contains(f.Message, "it denies more") ||
				strings.Contains(f.Message, "holds for none") || strings.Contains(f.Message, "whole segments")
		}
		for _, from := range []string{"b", "c"} {
			for _, method := range []string{"GET", "POST"} {
				for _, path := range []string{"/", "/x", "/xy", "/x/y"} {
					want := standard == "allow"
				search:
					for _, to := range []string{"a", "*"} {
						for _, source := range []string{from, "*"} {
							s, ok := known[to][source]
							if !ok {
								continue
							}
							if len(s.permissions) == 0 {
								want = s.action == "allow"
							}
							for _, p := range s.permissions {
								if p.takes(method, path) {
									want = p.action == "allow"
									break
								}
							}
							break search
						}
					}
					text := fmt.Sprintf("identity:spiffe://cluster.local/ns/shop/sa/%s %s http://a%s", from, method, path)
					got := answered(t, m, requestOf(t, text)) == "a"
					if got && !want || want && !got && !told {
						t.Errorf("%s: let in %v, and Consul says %v, by default %s, of\n%s", text, got, want, standard, stream)
					}
				}
			}
		}
	})
}

// consulPermission is a permission of an intention.
type consulPermission struct{ action, method, kind, path string }

func (p *consulPermission) String() string {
	text := fmt.Sprintf("{action: %s, http: {path%s: %s", p.action, p.kind, p.path)
	if p.method != "" {
		text += ", methods: [" + p.method + "]"
	}
	return text + "}}"
}

func (p *consulPermission) takes(method, path string) bool {
	return (p.method == "" || p.method == method) && (p.path == path || p.kind == "Prefix" && strings.HasPrefix(path, p.path))
}

// TestRandomConsulRoutes has requests go where random routers, splitters and resolvers of Consul send them: through the
// first route that takes them, then a splitter, then a resolver.
func TestRandomConsulRoutes(t *testing.T) {
	inTurns(t, 60, func(t *testing.T, d dice) {
		c := newConsulRoutes(d)
		m, _ := meshOf(t, c.stream, importer.Options{DefaultIntentions: "allow"})
		for _, method := range []string{"GET", "POST"} {
			for _, path := range []string{"/", "/x", "/xy", "/x/y"} {
				for _, user := range []string{"", "tom"} {
					text := fmt.Sprintf("caller %s http://a%s", method, path)
					if user != "" {
						text += " x-user=" + user
					}
					got, want := consulReached(t, m, requestOf(t, text)), c.reached(method, path, user)
					if !maps.Equal(got, want) {
						t.Errorf("%s: %v, and Consul says %v, of\n%s", text, got, want, c.stream)
					}
				}
			}
		}
	})
}

// consulReached are the shares of where a request goes, in percent: "a v1", "b".
func consulReached(t *testing.T, m *ir.Mesh, r try.Request) map[string]float64 {
	got, err := try.Try(m, r)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, to := range got.Reaches {
		out[strings.TrimSpace(to.Service+" "+to.Version)] += to.Percent
	}
	return out
}

// consulRoutes are routes to the service a, as a small model of Consul has them.
type consulRoutes struct {
	stream   string
	routes   []consulRoute
	splits   map[string]float64 // by "SERVICE SUBSET"
	standard string             // default subset of a
	redirect bool               // of b to c
}

type consulRoute struct {
	consulPermission
	user   bool
	to     string
	subset string
}

func newConsulRoutes(d dice) *consulRoutes {
	c := &consulRoutes{standard: d.of("", "v1"), redirect: d.IntN(2) == 0}
	c.stream = members("b", "c", "caller") + `---
{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {selector: {app: a}, ports: [{name: http, port: 80}]}}
`
	for _, v := range []string{"v1", "v2"} {
		c.stream += fmt.Sprintf("---\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: a-%[1]s}, spec: {template: {metadata: "+
			"{labels: {app: a, version: %[1]s}, annotations: {consul.hashicorp.com/service-meta-v: %[1]s}}, spec: "+
			"{serviceAccountName: a, containers: [{name: a}]}}}}\n", v)
	}
	c.stream += consulEntry("ProxyDefaults", "global", "config: {protocol: http}")
	var routes []string
	for range d.IntN(4) {
		r := consulRoute{
			consulPermission{"", d.of("", "GET", "POST"), d.of("Exact", "Prefix"), d.of("/", "/x", "/x/")},
			d.IntN(3) == 0,
			d.of("", "a", "b"), "",
		}
		text := fmt.Sprintf("path%s: %s", r.kind, r.path)
		if r.method != "" {
			text += ", methods: [" + r.method + "]"
		}
		if r.user {
			text += ", header: [{name: x-user, present: true}]"
		}
		if r.to != "b" {
			r.subset = d.of("", "v2")
		}
		routes = append(routes, fmt.Sprintf("{match: {http: {%s}}, destination: {service: %q, serviceSubset: %q}}", text, r.to,
			r.subset))
		c.routes = append(c.routes, r)
	}
	c.stream += consulEntry("ServiceRouter", "a", "routes: ["+strings.Join(routes, ", ")+"]")
	c.stream += consulEntry("ServiceResolver", "a", fmt.Sprintf(
		"defaultSubset: %q, subsets: {v1: {filter: Service.Meta.v == v1}, v2: {filter: Service.Meta.v == v2}}", c.standard))
	if c.redirect {
		c.stream += consulEntry("ServiceResolver", "b", "redirect: {service: c}")
	}
	if d.IntN(3) > 0 {
		share := float64(d.IntN(11) * 10)
		other := d.of("a v2", "b", "a")
		c.splits = map[string]float64{"a v1": share}
		c.splits[other] += 100 - share
		var splits []string
		for _, to := range slices.Sorted(maps.Keys(c.splits)) {
			name, subset, _ := strings.Cut(to, " ")
			splits = append(splits, fmt.Sprintf("{weight: %g, service: %s, serviceSubset: %q}", c.splits[to], name, subset))
		}
		c.stream += consulEntry("ServiceSplitter", "a", "splits: ["+strings.Join(splits, ", ")+"]")
	}
	return c
}

// reached are the shares of where a request goes, in percent.
func (c *consulRoutes) reached(method, path, user string) map[string]float64 {
	to, subset := "a", ""
	for _, r := range c.routes {
		if r.takes(method, path) && (!r.user || user != "") {
			if subset = r.subset; r.to != "" {
				to = r.to
			}
			break
		}
	}
	shares := map[string]float64{strings.TrimSpace(to + " " + subset): 100}
	if to == "a" && subset == "" && c.splits != nil {
		shares = c.splits
	}
	out := map[string]float64{}
	for name, share := range shares {
		switch {
		case share == 0:
			continue
		case name == "a" && c.standard != "":
			name = "a " + c.standard
		case name == "b" && c.redirect:
			name = "c"
		}
		out[name] += share
	}
	return out
}
