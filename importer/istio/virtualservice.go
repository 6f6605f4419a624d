package istio

import (
	"net/http"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"
	networkingv1 "istio.io/api/networking/v1alpha3"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

const mesh = "mesh" // the name that stands for every proxy of the mesh in a VirtualService's gateways

var virtualServiceReasons = map[string]string{
	"exportTo":                                "a service's routes hold for every caller",
	"http[].delegate":                         "routes stand in one place: those of the other VirtualService belong here",
	"http[].mirrors":                          "a route has one mirror",
	"http[].headers.request":                  "a value of the language stands for itself, and no header begins with a colon",
	"http[].headers.response":                 "a value of the language stands for itself, and no header begins with a colon",
	"http[].match[].headers":                  "a route matches headers of HTTP alone",
	"http[].match[].sourceLabels":             "a service's routes hold for every caller; a caller's own settings stand in its uses",
	"http[].match[].sourceNamespace":          "a service's routes hold for every caller; a caller's own settings stand in its uses",
	"http[].match[].scheme":                   "requests are told apart by listener, not by scheme",
	"http[].match[].authority":                "a service's routes hold for each of its names",
	"http[].match[].port":                     "a route holds for each port that speaks HTTP",
	"http[].match[].statPrefix":               "a route's statistics go by its name",
	"http[].route[].headers":                  "headers are changed for a whole route",
	"http[].retries.attempts":                 "a request is sent again 10 times at most",
	"http[].retries.retryOn":                  "it is none of Envoy's conditions that the language has",
	"http[].retries.retryIgnorePreviousHosts": "a retry goes to another instance where there is one",
	"http[].retries.retryRemoteLocalities":    "a retry goes to another instance where there is one",
	"http[].fault.delay.exponentialDelay":     "a delay is fixed",
	"http[].fault.abort.http2Error":           "an abort has a status of HTTP or gRPC",
	"http[].corsPolicy.unmatchedPreflights":   "a preflight that does not match goes on to the service",
	"http[].corsPolicy.allowOrigins":          "an origin is exact, or has a wildcard for its first label",
	"http[].redirect.derivePort":              "the port is the request's, or the scheme's own where scheme is written",
	"tcp[].match":                             "a listener's connections go to one service",
	"tls[].match":                             "a listener's connections go to one service",
}

// virtualServices are the routes of services and gateways. Of two for the same host within the mesh the older
// one holds.
func (m *reader) virtualServices() {
	objects := slices.Clone(m.objectsOf(networking, "VirtualService"))
	slices.SortStableFunc(objects, func(a, b *importer.Object) int {
		return a.Metadata.CreationTimestamp.Compare(b.Metadata.CreationTimestamp.Time)
	})
	routed := map[*importer.Service]*importer.Object{}
	for _, o := range objects {
		var d networkingv1.VirtualService
		if !m.Decode(o, "spec", &d) {
			continue
		}
		if len(d.ExportTo) == 1 && d.ExportTo[0] == "*" {
			d.ExportTo = nil
		}
		bound := d.Gateways
		if len(bound) == 0 {
			bound = []string{mesh}
		}
		for _, name := range bound {
			b := &binding{reader: m, object: o, gateway: name}
			b.VirtualService = proto.Clone(&d).(*networkingv1.VirtualService)
			hosts := importer.Take(&b.Hosts)
			b.Gateways = nil
			if name == mesh {
				b.inMesh(hosts, routed)
			} else {
				b.atGateway(hosts, bound)
			}
			m.Left(o, "spec", b.VirtualService, virtualServiceReasons)
		}
	}
}

// binding is a VirtualService at one of the places where it holds.
type binding struct {
	*reader
	*networkingv1.VirtualService
	object  *importer.Object
	gateway string            // or "mesh"
	service *importer.Service // in the mesh, whose routes these are
	at      *gateway
	// leftOut is set when a route could not be carried over.
	leftOut bool
}

func (b *binding) inMesh(hosts []string, routed map[*importer.Service]*importer.Object) {
	whole := b.VirtualService
	rest := &networkingv1.VirtualService{} // what no host could take
	for i, host := range hosts {
		at := []string{"spec", "hosts", strconv.Itoa(i)}
		b.VirtualService = proto.Clone(whole).(*networkingv1.VirtualService)
		s, e := b.Lookup(host, b.object.Metadata.Namespace), b.externalOf(host)
		switch {
		case s == nil && e != nil:
			b.toExternal(e, host)
		case s == nil && b.LookupPart(host, b.object.Metadata.Namespace) != nil:
			part := b.LookupPart(host, b.object.Metadata.Namespace)
			b.service = part.Of
			part.Routes = b.routes()
		case s == nil:
			b.NotCarried(b.object, "no service that was read has the host "+host, at...)
			continue
		case routed[s] != nil && routed[s] != b.object:
			b.NotCarried(b.object, routed[s].String()+" has the routes of "+host+" already", at...)
			continue
		default:
			routed[s] = b.object
			b.service = s
			routes := b.routes()
			if len(routes) == 0 && b.leftOut { // what they took goes nowhere else
				none := &spec.DirectResponse{Status: spec.Written(http.StatusNotFound)}
				routes = []*spec.Route{{DirectResponse: none}}
			}
			s.Spec.Routes = importer.Tidied(importer.Ended(routes))
		}
		rest = b.VirtualService
	}
	b.VirtualService = rest
}

// toExternal carries over what calls to an external may have: time and tries, without routes.
func (b *binding) toExternal(e *spec.External, host string) {
	if len(b.Http) != 1 || len(b.Http[0].Match) > 0 || len(b.Http[0].Route) != 1 ||
		b.Http[0].Route[0].Destination.GetHost() != host {
		b.NotCarried(b.object, "the language has no routes for calls to an external", "spec", "http")
		b.Http, b.Tls, b.Tcp = nil, nil, nil
		return
	}
	r := b.Http[0]
	r.Route = nil
	duration(&e.Timeout, &r.Timeout)
	e.Retries = b.retries(r)
}

func (b *binding) atGateway(hosts, bound []string) {
	namespace := b.object.Metadata.Namespace
	own := qualified(b.gateway, namespace)
	if b.at = b.gateways[own]; b.at == nil {
		b.NotCarried(b.object, "no Gateway "+own+" was read", "spec", "gateways")
		b.Http, b.Tcp, b.Tls = nil, nil, nil
		return
	}
	whole := b.VirtualService
	if len(whole.Http) > 0 {
		rest := &networkingv1.VirtualService{Tcp: whole.Tcp, Tls: whole.Tls}
		for i, host := range hosts {
			taken := b.taken(host, own)
			if len(taken) == 0 {
				b.NotCarried(b.object, "no server of the Gateway "+b.gateway+" answers for it", "spec", "hosts",
					strconv.Itoa(i))
			}
			for _, both := range taken {
				b.VirtualService = proto.Clone(whole).(*networkingv1.VirtualService)
				var routes []*spec.Route
				for _, r := range b.routes() {
					if r.Match != nil && r.Match.Host.IsSet() && !importer.Covers(both, r.Match.Host.Value) {
						continue // of another host of the VirtualService
					}
					importer.At(r, b.listeners(both, bound))
					routes = append(routes, r)
				}
				b.at.hosts = append(b.at.hosts, importer.Hosted{Host: both, Routes: routes})
				rest.Http = b.Http
			}
		}
		b.VirtualService = rest
	}
	b.streams()
}

// taken are the hosts for which servers of a Gateway take requests for the host.
func (b *binding) taken(host, gateway string) []string {
	var out []string
	for _, s := range b.at.servers {
		if s.of != gateway || s.tcp || s.tls || s.listener.RedirectTo.IsSet() {
			continue
		}
		for _, both := range s.takes(host, b.object.Metadata.Namespace) {
			if !slices.Contains(out, both) {
				out = append(out, both)
			}
		}
	}
	return out
}

// listeners are those that the requests of a host come to by the Gateways that the VirtualService is bound to; nil when
// no other one of the gateway answers for the host.
func (b *binding) listeners(host string, bound []string) []string {
	var out []string
	others := false
	for _, s := range b.at.servers {
		if s.tcp || s.tls || s.listener.RedirectTo.IsSet() || len(s.takes(host, b.object.Metadata.Namespace)) == 0 {
			continue
		}
		if slices.ContainsFunc(bound,
			func(name string) bool { return qualified(name, b.object.Metadata.Namespace) == s.of }) {
			if !slices.Contains(out, s.name) {
				out = append(out, s.name)
			}
		} else {
			others = true
		}
	}
	if !others {
		return nil
	}
	slices.Sort(out)
	return out
}

// routes are those of HTTP, one for each of the matches of a route of Istio's.
func (b *binding) routes() []*spec.Route {
	var out []*spec.Route
	for i, r := range b.Http {
		matches := r.Match
		if len(matches) == 0 {
			matches = []*networkingv1.HTTPMatchRequest{{}}
		}
		var routes []*spec.Route
		for n, d := range matches {
			if len(d.Gateways) > 0 && !slices.Contains(d.Gateways, b.gateway) {
				proto.Reset(d) // it is for elsewhere
				continue
			}
			d.Gateways = nil
			match := b.match(d)
			if refuses(r) && !importer.IsEmpty(d) {
				b.LeftAt(b.object, d,
					"the language cannot say it, and so the route refuses more: all that it would without it", "spec",
					"http", strconv.Itoa(i), "match", strconv.Itoa(n))
				proto.Reset(d)
			}
			if !importer.IsEmpty(d) {
				b.NotCarried(b.object, "the route is left out, as it would take more requests than it did", "spec",
					"http", strconv.Itoa(i), "match", strconv.Itoa(n))
				b.leftOut = true
				continue
			}
			routes = append(routes, &spec.Route{Match: match})
		}
		if len(routes) == 0 {
			rest := r.Match // what it does has no request to do it to
			proto.Reset(r)
			r.Match = rest
			continue
		}
		for _, route := range routes {
			b.actions(i, proto.Clone(r).(*networkingv1.HTTPRoute), route)
		}
		b.actions(i, r, &spec.Route{})
		for _, route := range routes {
			if usable(route) {
				out = append(out, route)
			} else {
				b.leftOut = true
			}
		}
	}
	return out
}

// refuses reports whether a route answers with an error itself.
func refuses(r *networkingv1.HTTPRoute) bool { return r.DirectResponse.GetStatus() >= 400 }

// usable reports whether a route does something.
func usable(r *spec.Route) bool { return r.To != nil || r.Redirect != nil || r.DirectResponse != nil }
