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
				b.atGateway(hosts, bound)
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
	whole := b.VirtualService
	rest := &networkingv1.VirtualService{} // what no host could take
	for i, host := range hosts {
		at := []string{"spec", "hosts", strconv.Itoa(i)}
		b.VirtualService = proto.Clone(whole).(*networkingv1.VirtualService)
		s, e := b.Lookup(host, b.object.Metadata.Namespace), b.externalOf(host)
		switch {
		case s == nil && e != nil:
			b.toExternal(e, host)
		case s == nil:
			b.NotCarried(b.object, "no service that was read has the host "+host, at...)
			continue
		case routed[s] != nil && routed[s] != b.object:
			b.NotCarried(b.object, routed[s].String()+" has the routes of "+host+" already", at...)
			continue
		default:
			routed[s] = b.object
			b.service = s
			s.Spec.Routes = foreign.Tidied(b.routes())
		}
		rest = b.VirtualService
	}
	b.VirtualService = rest
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
				b.NotCarried(b.object, "no server of the Gateway "+b.gateway+" answers for it", "spec", "hosts", strconv.Itoa(i))
			}
			for _, both := range taken {
				b.VirtualService = proto.Clone(whole).(*networkingv1.VirtualService)
				b.at.hosts = append(b.at.hosts, foreign.Hosted{Host: both, Listeners: b.listeners(both, bound), Routes: b.routes()})
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
		if slices.ContainsFunc(bound, func(name string) bool { return qualified(name, b.object.Metadata.Namespace) == s.of }) {
			out = append(out, s.name)
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
			if refuses(r) && !foreign.IsEmpty(d) {
				b.LeftAt(b.object, d, "the language cannot say it, and so the route refuses more: all that it would without it", "spec", "http", strconv.Itoa(i), "match", strconv.Itoa(n))
				proto.Reset(d)
			}
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

// refuses reports whether a route answers with an error itself.
func refuses(r *networkingv1.HTTPRoute) bool { return r.DirectResponse.GetStatus() >= 400 }

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
	for name, p := range s.Spec.Ports {
		if protocol == "tcp" && (port == name || port == "" && len(s.Spec.Ports) == 1) && p.Protocol.Value != "tcp" && p.Protocol.Value != "tls" {
			b.NotCarried(b.object, "connections go to a port of tcp or tls, and that of "+s.Name+" speaks "+p.Protocol.Value, at...)
			return nil
		}
	}
	if b.at != nil {
		b.at.spec.Uses[s.Name] = &spec.Use{}
		if d.GetSubset() == "" && protocol == "http" {
			b.through = append(b.through, through{b.object, at, s})
		}
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
		if !foreign.IsEmpty(r.Match) {
			continue
		}
		at := []string{"spec", "tcp", strconv.Itoa(i)}
		to := b.streamTo(at, foreign.Take(&r.Route))
		for _, s := range b.at.servers {
			if to == nil || !b.isBound(s) || !s.tcp || len(ports) > 0 && !ports[0] && !ports[uint32(s.listener.Port.Value)] {
				continue
			}
			if s.listener.To != nil {
				b.NotCarried(b.object, "the connections of port "+strconv.Itoa(s.listener.Port.Value)+" go to "+s.listener.To.Service.Value+" already", at...)
				continue
			}
			s.listener.To = to
		}
	}
	for i, r := range b.Tls {
		var names []string
		for _, match := range r.Match {
			names = append(names, foreign.Take(&match.SniHosts)...)
			match.Port, match.Gateways = 0, nil
		}
		if !foreign.IsEmpty(r.Match) {
			continue
		}
		to := b.streamTo([]string{"spec", "tls", strconv.Itoa(i)}, foreign.Take(&r.Route))
		for _, s := range b.at.servers {
			if to != nil && b.isBound(s) && s.tls {
				b.split(s, names, to)
			}
		}
	}
}

// isBound reports whether a server is of the Gateway that the binding is to.
func (b *binding) isBound(s *server) bool {
	return s.of == qualified(b.gateway, b.object.Metadata.Namespace)
}

// split gives connections for the names in their handshake a listener of their own.
func (b *binding) split(s *server, names []string, to *spec.ListenerTo) {
	var hosts []string
	for _, name := range names {
		for _, both := range s.takes(name, b.object.Metadata.Namespace) {
			if !slices.Contains(hosts, both) {
				hosts = append(hosts, both)
			}
		}
	}
	if len(hosts) == 0 {
		return
	}
	l := *s.listener
	l.Hosts, l.To, s.split = spec.WrittenAll(hosts...), to, true
	b.at.spec.Listeners[foreign.Free(b.at.spec.Listeners, s.name+"-"+to.Service.Value)] = &l
}

// streamTo is where a route's connections go; nil when that cannot be said.
func (b *binding) streamTo(at []string, list []*networkingv1.RouteDestination) *spec.ListenerTo {
	if len(list) != 1 {
		b.NotCarried(b.object, "a listener's connections go to one service", append(at, "route")...)
		return nil
	}
	to := b.destination(list[0].Destination, append(at, "route", "0", "destination"), "tcp")
	if to == nil {
		return nil
	}
	return &spec.ListenerTo{Service: to.Service, Port: to.Port, Version: to.Version}
}
