package consul

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

type ingressGateway struct {
	Meta      map[string]any `json:"meta"`
	TLS       *gatewayTLS    `json:"tls"`
	Defaults  map[string]any `json:"defaults"`
	Listeners []struct {
		Port     int         `json:"port"`
		Protocol string      `json:"protocol"`
		TLS      *gatewayTLS `json:"tls"`
		Services []struct {
			Name                  string         `json:"name"`
			Hosts                 []string       `json:"hosts"`
			Namespace             string         `json:"namespace"`
			TLS                   map[string]any `json:"tls"`
			RequestHeaders        *headerEdits   `json:"requestHeaders"`
			ResponseHeaders       *headerEdits   `json:"responseHeaders"`
			MaxConnections        int            `json:"maxConnections"`
			MaxPendingRequests    int            `json:"maxPendingRequests"`
			MaxConcurrentRequests int            `json:"maxConcurrentRequests"`
			PassiveHealthCheck    map[string]any `json:"passiveHealthCheck"`
		} `json:"services"`
	} `json:"listeners"`
}

type gatewayTLS struct {
	Enabled       bool           `json:"enabled"`
	SDS           map[string]any `json:"sds"`
	TLSMinVersion string         `json:"tlsMinVersion"`
	TLSMaxVersion string         `json:"tlsMaxVersion"`
	CipherSuites  []string       `json:"cipherSuites"`
}

// ingressGateways makes gateways of the ingress gateways.
func (m *reader) ingressGateways() {
	gateways := read[ingressGateway](m, "IngressGateway")
	for _, name := range slices.Sorted(maps.Keys(gateways)) {
		e := gateways[name]
		g := &spec.Gateway{
			Namespace: spec.Written(e.object.Metadata.Namespace), Listeners: map[string]*spec.Listener{},
			Uses: map[string]*spec.Use{},
		}
		var hosts []importer.Hosted
		for i := range e.spec.Listeners {
			hosts = append(hosts, m.ingressListener(g, e, i)...)
		}
		if len(e.spec.Defaults) > 0 {
			m.NotCarried(e.object, "uses of the gateway bound its connections", "spec", "defaults")
		}
		if g.Routes = importer.Routed(hosts); len(g.Listeners) == 0 {
			m.NotCarried(e.object, "none of its listeners leads to a service that was read", "spec", "listeners")
			continue
		}
		own := importer.Free(m.Names(), importer.NameOf(name))
		m.Repository.Gateways[own], m.gateways[name] = g, own
		m.MadeFrom("gateways", own, e.object)
	}
}

// ingressListener adds a listener, and returns the routes of its services by their hosts.
func (m *reader) ingressListener(g *spec.Gateway, e *entry[ingressGateway], i int) []importer.Hosted {
	l := &e.spec.Listeners[i]
	at := []string{"spec", "listeners", strconv.Itoa(i)}
	called := "port-" + strconv.Itoa(l.Port)
	for _, t := range []*gatewayTLS{e.spec.TLS, l.TLS} {
		if t != nil && (t.Enabled || len(t.SDS) > 0) {
			m.NotCarried(e.object, "its certificate is one of Consul's, or comes by SDS, and the listener is left out: name a "+
				"Secret in tls", at...)
			return nil
		}
	}
	listener := &spec.Listener{Port: spec.Written(l.Port)}
	if l.Protocol == "" || l.Protocol == "tcp" {
		listener.Protocol = spec.Written("tcp")
		for n, s := range l.Services {
			to := m.service(e.object, s.Name, append(slices.Clone(at), "services", strconv.Itoa(n))...)
			if to == nil || len(to.Spec.Ports) == 0 || to.PortsOfHTTP() > 0 || listener.To != nil {
				continue
			}
			listener.To = &spec.ListenerTo{Service: spec.Written(to.Name)}
			g.Uses[to.Name] = &spec.Use{}
		}
		if listener.To == nil {
			m.NotCarried(e.object, "it leads to no service below HTTP, and is left out", at...)
			return nil
		}
		g.Listeners[called] = listener
		return nil
	}
	var out []importer.Hosted
	for n, s := range l.Services {
		where := append(slices.Clone(at), "services", strconv.Itoa(n))
		if s.Name == everyone {
			m.NotCarried(e.object, "a gateway names the services that it leads to", where...)
			continue
		}
		to := m.service(e.object, s.Name, where...)
		if to == nil || to.PortsOfHTTP() == 0 {
			continue
		}
		if len(s.TLS)+len(s.PassiveHealthCheck) > 0 {
			m.NotCarried(e.object, "a listener has one certificate, and outliers are the service's", where...)
		}
		g.Uses[to.Name] = &spec.Use{Connections: m.Bounds(e.object, (&upstreamConfig{Limits: &limits{
			s.MaxConnections, s.MaxPendingRequests, s.MaxConcurrentRequests,
		}}).connections(), to.Spec.Ports, true)}
		hosts := s.Hosts
		if len(hosts) == 0 {
			hosts = []string{s.Name + ".ingress.consul"}
			m.Note(e.object, "it answers for the host "+hosts[0]+", and not for others of "+s.Name+".ingress.*", where...)
		}
		for _, host := range hosts {
			host, _, _ = strings.Cut(host, ":")
			r := &spec.Route{To: []*spec.Destination{{Service: spec.Written(to.Name)}}}
			d := &routeDestination{RequestHeaders: s.RequestHeaders, ResponseHeaders: s.ResponseHeaders}
			r.Headers = m.edits(e.object, d, where)
			importer.At(r, []string{called})
			out = append(out, importer.Hosted{Host: host, Routes: []*spec.Route{r}})
		}
	}
	if len(out) == 0 {
		m.NotCarried(e.object, "it leads to no service of HTTP that was read, and is left out", at...)
		return nil
	}
	g.Listeners[called] = listener
	return out
}
