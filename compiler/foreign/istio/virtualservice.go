package istio

import (
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"
	networkingv1 "istio.io/api/networking/v1alpha3"

	"github.com/meshc/meshc/compiler/foreign"
	"github.com/meshc/meshc/compiler/spec"
)

const mesh = "mesh" // the name that stands for every proxy of the mesh in a VirtualService's gateways

var virtualServiceReasons = map[string]string{
	"exportTo":                                "a service's routes hold for every caller",
	"http[].delegate":                         "routes stand in one place: those of the other VirtualService belong here",
	"http[].mirrors":                          "a route has one mirror",
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
func (m *importer) virtualServices() {
	objects := slices.Clone(m.of(networking, "VirtualService"))
	slices.SortStableFunc(objects, func(a, b *foreign.Object) int {
		return a.Metadata.CreationTimestamp.Compare(b.Metadata.CreationTimestamp.Time)
	})
	routed := map[*foreign.Service]*foreign.Object{}
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
			b := &binding{importer: m, object: o, gateway: name}
			b.VirtualService = proto.Clone(&d).(*networkingv1.VirtualService)
			hosts := foreign.Take(&b.Hosts)
			b.Gateways = nil
			if name == mesh {
				b.inMesh(hosts, routed)
			} else {
				b.atGateway(hosts)
			}
			m.Left(o, "spec", b.VirtualService, virtualServiceReasons)
		}
	}
}

// binding is a VirtualService at one of the places where it holds.
type binding struct {
	*importer
	*networkingv1.VirtualService
	object  *foreign.Object
	gateway string           // or "mesh"
	service *foreign.Service // in the mesh, whose routes these are
	at      *gateway
}

func (b *binding) inMesh(hosts []string, routed map[*foreign.Service]*foreign.Object) {
	for i, host := range hosts {
		at := []string{"spec", "hosts", strconv.Itoa(i)}
		s := b.Lookup(host, b.object.Metadata.Namespace)
		if e := b.externalOf(host); s == nil && e != nil {
			b.toExternal(e, host)
			continue
		}
		if s == nil {
			b.NotCarried(b.object, "no service that was read has the host "+host, at...)
			b.Http, b.Tcp, b.Tls = nil, nil, nil
			continue
		}
		if other := routed[s]; other != nil && other != b.object {
			b.NotCarried(b.object, other.String()+" has the routes of "+host+" already", at...)
			b.Http = nil
			continue
		}
		routed[s] = b.object
		rest := b.VirtualService
		if i < len(hosts)-1 { // the next host has the same routes
			b.VirtualService = proto.Clone(rest).(*networkingv1.VirtualService)
		}
		b.service = s
		s.Spec.Routes = foreign.Tidied(b.routes())
		b.VirtualService = rest
	}
}

// toExternal carries over what calls to an external may have: time and tries, without routes.
func (b *binding) toExternal(e *spec.External, host string) {
	if len(b.Http) != 1 || len(b.Http[0].Match) > 0 || len(b.Http[0].Route) != 1 || b.Http[0].Route[0].Destination.GetHost() != host {
		b.NotCarried(b.object, "the language has no routes for calls to an external", "spec", "http")
		b.Http, b.Tls, b.Tcp = nil, nil, nil
		return
	}
	r := b.Http[0]
	r.Route = nil
	duration(&e.Timeout, &r.Timeout)
	e.Retries = b.retries(r)
}

func (b *binding) atGateway(hosts []string) {
	namespace := b.object.Metadata.Namespace
	if b.at = b.gateways[qualified(b.gateway, namespace)]; b.at == nil {
		b.NotCarried(b.object, "no Gateway "+qualified(b.gateway, namespace)+" was read", "spec", "gateways")
		b.Http, b.Tcp, b.Tls = nil, nil, nil
		return
	}
	for i, host := range hosts {
		var taken []string
		for _, s := range b.at.servers {
			if s.of != qualified(b.gateway, namespace) || s.tcp || s.tls || s.listener.RedirectTo.IsSet() {
				continue
			}
			if both, ok := s.takes(host, namespace); ok && !slices.Contains(taken, both) {
				taken = append(taken, both)
			}
		}
		if len(taken) == 0 && len(b.Http) > 0 {
			b.NotCarried(b.object, "no server of the Gateway "+b.gateway+" answers for it", "spec", "hosts", strconv.Itoa(i))
			if i == len(hosts)-1 {
				b.Http = nil
			}
		}
		if len(b.Http) == 0 {
			continue
		}
		for _, both := range taken {
			rest := b.VirtualService
			b.VirtualService = proto.Clone(rest).(*networkingv1.VirtualService)
			routes := b.routes()
			if i < len(hosts)-1 || both != taken[len(taken)-1] {
				b.VirtualService = rest
			}
			b.at.hosts = append(b.at.hosts, foreign.Hosted{Host: both, Routes: routes})
		}
	}
	b.streams()
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
			if !foreign.IsEmpty(d) {
				b.NotCarried(b.object, "the route is left out, as it would take more requests than it did", "spec", "http", strconv.Itoa(i), "match", strconv.Itoa(n))
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
			}
		}
	}
	return out
}

// usable reports whether a route does something.
func usable(r *spec.Route) bool { return r.To != nil || r.Redirect != nil || r.DirectResponse != nil }

// destinations are where a route of HTTP goes; nil when one of them cannot be reached.
func (b *binding) destinations(i int, list []*networkingv1.HTTPRouteDestination) []*spec.Destination {
	var out []*spec.Destination
	for n, d := range list {
		at := []string{"spec", "http", strconv.Itoa(i), "route", strconv.Itoa(n), "destination"}
		to := b.destination(d.Destination, at, "http")
		weight := foreign.Take(&d.Weight)
		d.Destination = nil
		if to == nil {
			return nil
		}
		if len(list) > 1 {
			to.Weight = spec.Written(int(weight))
		}
		out = append(out, to)
	}
	return out
}

// destination is where requests, or connections, go that speak the protocol; nil when nobody is
// there.
func (b *binding) destination(d *networkingv1.Destination, at []string, protocol string) *spec.Destination {
	s := b.Lookup(d.GetHost(), b.object.Metadata.Namespace)
	if s == nil {
		why := "no service that was read has the host " + d.GetHost()
		if b.externalOf(d.GetHost()) != nil {
			why = "routes lead to services of the mesh"
		}
		b.NotCarried(b.object, why+", and the route is left out", append(at, "host")...)
		return nil
	}
	out := &spec.Destination{}
	if s != b.service {
		out.Service = spec.Written(s.Name)
	}
	if subset := d.GetSubset(); subset != "" {
		if s.Spec.Versions[subset] == nil {
			b.NotCarried(b.object, "no DestinationRule that was read makes "+strconv.Quote(subset)+" of "+s.Name+", and the route is left out", append(at, "subset")...)
			return nil
		}
		out.Version = spec.Written(subset)
	}
	port := s.Port(int(d.GetPort().GetNumber()))
	if d.GetPort() != nil && port == "" {
		b.NotCarried(b.object, s.Name+" has no such port, and the route is left out", append(at, "port")...)
		return nil
	}
	if len(s.Spec.Ports) > 1 && port != "" {
		out.Port = spec.Written(port)
	}
	for name := range s.Spec.Ports {
		if port == "" || port == name {
			s.Speaks(name, protocol)
		}
	}
	if b.at != nil {
		b.at.spec.Uses[s.Name] = &spec.Use{}
	}
	return out
}

// streams are the routes of connections: a listener's go to one service.
func (b *binding) streams() {
	for i, r := range b.Tcp {
		ports := map[uint32]bool{}
		for _, match := range r.Match {
			ports[foreign.Take(&match.Port)] = true
			match.Gateways = nil
		}
		at := []string{"spec", "tcp", strconv.Itoa(i)}
		if foreign.IsEmpty(r.Match) {
			b.stream(at, foreign.Take(&r.Route), func(s *server) bool {
				return s.tcp && (len(ports) == 0 || ports[0] || ports[uint32(s.listener.Port.Value)])
			})
		}
	}
	for i, r := range b.Tls {
		var names []string
		for _, match := range r.Match {
			names = append(names, foreign.Take(&match.SniHosts)...)
			match.Port, match.Gateways = 0, nil
		}
		at := []string{"spec", "tls", strconv.Itoa(i)}
		if foreign.IsEmpty(r.Match) {
			b.stream(at, foreign.Take(&r.Route), func(s *server) bool {
				return s.tls && slices.ContainsFunc(names, func(n string) bool { _, ok := s.takes(n, b.object.Metadata.Namespace); return ok })
			})
		}
	}
}

// stream sends the connections of listeners to a destination.
func (b *binding) stream(at []string, list []*networkingv1.RouteDestination, is func(s *server) bool) {
	if len(list) != 1 {
		b.NotCarried(b.object, "a listener's connections go to one service", append(at, "route")...)
		return
	}
	to := b.destination(list[0].Destination, append(at, "route", "0", "destination"), "tcp")
	if to == nil {
		return
	}
	for _, s := range b.at.servers {
		if s.of == qualified(b.gateway, b.object.Metadata.Namespace) && is(s) && s.listener.To == nil {
			s.listener.To = &spec.ListenerTo{Service: to.Service, Port: to.Port, Version: to.Version}
		}
	}
}
