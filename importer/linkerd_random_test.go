package importer_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/meshc/meshc/importer"
)

// TestRandomLinkerdPolicies has a service take from random policies of Linkerd no request that Linkerd denies, and each
// that it lets in unless import says that it does not carry it over.
func TestRandomLinkerdPolicies(t *testing.T) {
	inTurns(t, 60, func(t *testing.T, d dice) {
		p := newLinkerdPolicies(d)
		m, found := meshOf(t, p.stream, importer.Options{})
		told := false
		for _, f := range found {
			told = told || strings.Contains(f.Message, "nobody is let in")
		}
		for _, from := range []string{"b", "c", "outside"} {
			for _, ip := range []string{"10.1.2.3", "192.0.2.7"} {
				for _, method := range []string{"GET", "POST"} {
					for _, path := range []string{"/", "/x", "/x/y", "/z"} {
						text := fmt.Sprintf("%s@%s %s http://a%s", from, ip, method, path)
						got := answered(t, m, requestOf(t, text)) == "a"
						want := p.lets(from, netip.MustParseAddr(ip), method, path)
						if got && !want || want && !got && !told {
							t.Errorf("%s: let in %v, and Linkerd says %v, of\n%s", text, got, want, p.stream)
						}
					}
				}
			}
		}
	})
}

// linkerdPolicies are who may call the service a, as a small model of Linkerd has it.
type linkerdPolicies struct {
	stream           string
	standard, access string // policies; access is "" without a Server
	routes           []linkerdRoute
	authorizations   []linkerdAuthorization
}

type linkerdRoute struct{ name, method, kind, path string }

// linkerdAuthorization is an AuthorizationPolicy: for a route, or for all if it names none.
type linkerdAuthorization struct {
	route        string
	account, net bool // whether it asks for the account of b, and for the network 10.0.0.0/8
}

func newLinkerdPolicies(d dice) *linkerdPolicies {
	policies := []string{
		"all-unauthenticated", "all-authenticated", "cluster-unauthenticated", "cluster-authenticated", "deny",
	}
	p := &linkerdPolicies{standard: d.of(policies...)}
	p.stream = fmt.Sprintf("{apiVersion: v1, kind: Namespace, metadata: {name: shop, annotations: {linkerd.io/inject: enabled, "+
		"config.linkerd.io/default-inbound-policy: %s}}}\n", p.standard) + members("a", "b", "c")
	add := func(kind, name, spec string) {
		p.stream += fmt.Sprintf("---\n{apiVersion: policy.linkerd.io/v1beta3, kind: %s, metadata: {name: %s}, spec: {%s}}\n",
			kind, name, spec)
	}
	if d.IntN(4) == 0 {
		return p
	}
	if p.access = "deny"; d.IntN(3) == 0 {
		p.access = d.of(policies...)
	}
	add("Server", "a", "podSelector: {matchLabels: {app: a}}, port: 80, proxyProtocol: HTTP/1, accessPolicy: "+p.access)
	add("NetworkAuthentication", "net", "networks: [{cidr: 10.0.0.0/8}]")
	for n := range d.IntN(4) {
		r := linkerdRoute{fmt.Sprintf("r%d", n), d.of("", "GET", "POST"), d.of("Exact", "PathPrefix"), d.of("/", "/x", "/x/y")}
		match := fmt.Sprintf("path: {type: %s, value: %s}", r.kind, r.path)
		if r.method != "" {
			match += ", method: " + r.method
		}
		add("HTTPRoute", r.name, "parentRefs: [{group: policy.linkerd.io, kind: Server, name: a}], rules: [{matches: [{"+match+
			"}]}]")
		p.routes = append(p.routes, r)
	}
	for n := range 1 + d.IntN(3) {
		a := linkerdAuthorization{account: d.IntN(2) == 0, net: d.IntN(3) == 0}
		target, refs := "kind: Server, name: a", ""
		if d.IntN(3) == 0 {
			target = "kind: Namespace, name: shop"
		} else if len(p.routes) > 0 && d.IntN(3) > 0 {
			a.route = p.routes[d.IntN(len(p.routes))].name
			target = "kind: HTTPRoute, name: " + a.route
		}
		if a.account {
			refs += "{kind: ServiceAccount, name: b}, "
		}
		if a.net {
			refs += "{kind: NetworkAuthentication, name: net}"
		}
		add("AuthorizationPolicy", fmt.Sprintf("p%d", n), "targetRef: {"+target+"}, requiredAuthenticationRefs: ["+refs+"]")
		p.authorizations = append(p.authorizations, a)
	}
	return p
}

// lets reports whether Linkerd lets a request to a in.
func (p *linkerdPolicies) lets(from string, ip netip.Addr, method, path string) bool {
	inside := netip.MustParsePrefix("10.0.0.0/8").Contains(ip)
	by := func(policy string) bool {
		cluster := strings.HasPrefix(policy, "cluster-")
		return policy != "deny" && (!cluster || inside) && (from != "outside" || strings.HasSuffix(policy, "-unauthenticated"))
	}
	if p.access == "" {
		return by(p.standard)
	}
	route := ""
	best := -1
	for _, r := range p.routes {
		whole := strings.TrimSuffix(r.path, "/")
		takes := r.path == path || r.kind == "PathPrefix" && (path == whole || strings.HasPrefix(path, whole+"/"))
		rank := 10 * len(whole)
		if r.kind == "Exact" {
			rank += 1000
		}
		if r.method != "" {
			rank++
		}
		if takes && (r.method == "" || r.method == method) && rank > best {
			route, best = r.name, rank
		}
	}
	if len(p.routes) > 0 && route == "" {
		return false
	}
	for _, a := range p.authorizations {
		if (a.route == "" || a.route == route) && (!a.account || from == "b") && (!a.net || inside) {
			return true
		}
	}
	return by(p.access)
}
