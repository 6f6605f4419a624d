package consul

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// permissiveWhy is why permissive services are silenced.
const permissiveWhy = "Consul lets in callers without an identity here (mutualTLSMode)"

// proxyDefaults reads the settings of all proxies and of the mesh.
func (m *reader) proxyDefaults() {
	for _, e := range read[proxyDefaults](m, "ProxyDefaults") {
		d := e.spec
		if protocol, ok := d.Config["protocol"].(string); ok {
			m.protocol = protocol
			delete(d.Config, "protocol")
		}
		if d.MutualTLSMode == "permissive" {
			m.told["permissive"] = true
		}
		m.extensions(e.object, d.EnvoyExtensions)
		d.MutualTLSMode, d.Meta, d.EnvoyExtensions, d.Mode = "", nil, nil, ""
		m.Left(e.object, "spec", &d, map[string]string{"config": "mesh.proxy, mesh.telemetry and mesh.defaults may say it"})
	}
	pass := true
	for _, e := range read[meshSettings](m, "Mesh") {
		d := e.spec
		pass = !importer.Take(&d.TransparentProxy.MeshDestinationsOnly)
		d.Meta = nil
		m.Left(e.object, "spec", &d, map[string]string{"tls": "the mesh speaks TLS 1.2 and 1.3"})
	}
	for _, s := range m.Sorted() {
		if pass && isTransparent(s) {
			s.PassUndeclared("Consul lets calls to other destinations go on (meshDestinationsOnly)")
		}
	}
}

// extensions tells the extensions of Envoys.
func (m *reader) extensions(o *importer.Object, list []map[string]any) {
	for i, e := range list {
		at := []string{"spec", "envoyExtensions", strconv.Itoa(i)}
		name, _ := e["name"].(string)
		if name == "" {
			name, _ = e["Name"].(string)
		}
		if slices.Contains([]string{"builtin/aws/lambda", "builtin/otel-access-logging"}, name) {
			m.NotCarried(o, "the language has nothing like "+name, at...)
			continue
		}
		m.LetsMore(o, "the language has nothing like "+name+", or says it as externalAuthorization", at...)
	}
}

// serviceDefaults reads the settings of each service.
func (m *reader) serviceDefaults() {
	for _, s := range m.services {
		if s.Spec.Ports != nil && !m.told[speaks+s.Name] {
			m.speak(s, m.protocol)
		}
		if m.told["permissive"] {
			s.Permissive(permissiveWhy)
		}
	}
	for name, e := range m.defaults {
		d, o := e.spec, e.object
		m.extensions(o, d.EnvoyExtensions)
		d.EnvoyExtensions, d.Meta, d.Mode = nil, nil, ""
		if to := importer.Take(&d.Destination); to != nil {
			m.destination(o, name, d.Protocol, to.Addresses, to.Port)
			continue
		}
		s := m.service(o, name, "metadata", "name")
		if s == nil {
			if d.RateLimits != nil {
				m.LetsMore(o, "no service "+name+" was read", "spec", "rateLimits")
			}
			continue
		}
		if protocol := importer.Take(&d.Protocol); protocol != "" {
			m.speak(s, protocol)
		}
		switch importer.Take(&d.MutualTLSMode) {
		case "permissive":
			s.Permissive(permissiveWhy)
		case "strict":
			s.Spec.MTLS, s.Spec.Silence = spec.Field[string]{}, nil
		}
		if r := d.RateLimits; r != nil {
			level := &r.InstanceLevel
			if n := importer.Take(&level.RequestsPerSecond); n > 0 {
				s.Spec.RateLimit = &spec.RateLimit{Requests: spec.Written(n)}
				if burst := level.RequestsMaxBurst; burst > n {
					s.Spec.RateLimit.Burst = spec.Written(burst - n)
				}
			}
			level.RequestsMaxBurst = 0
			if len(level.Routes) > 0 {
				m.LetsMore(o, "a service bounds all of its requests", "spec", "rateLimits", "instanceLevel", "routes")
				level.Routes = nil
			}
		}
		if u := importer.Take(&d.UpstreamConfig); u != nil {
			m.settings[s.Name] = &callSettings{o, u}
		}
		if n := importer.Take(&d.MaxInboundConnections); n > 0 {
			m.LetsMore(o, "a service has no bound on the connections that it accepts", "spec", "maxInboundConnections")
		}
		m.Left(o, "spec", &d, map[string]string{
			"expose": "probes and scrape let requests in that come without an identity",
		})
	}
}

// callSettings are those of the calls of a service, with the config entry that says them.
type callSettings struct {
	object *importer.Object
	*upstreamConfigs
}

// bound writes the settings of the calls of services.
func (m *reader) bound() {
	for name, of := range m.settings {
		s := m.Services[name]
		for callee, use := range s.Spec.Uses {
			u := of.Defaults
			for _, o := range of.Overrides {
				if to := m.services[o.Name]; to != nil && to.Name == callee {
					u = o
				}
			}
			if u != nil {
				use.Connections = m.Bounds(of.object, u.connections(), m.portsOf(callee), true)
			}
		}
		for i, u := range append([]*upstreamConfig{of.Defaults}, of.Overrides...) {
			at := []string{"spec", "upstreamConfig", "defaults"}
			if i > 0 {
				at = []string{"spec", "upstreamConfig", "overrides", strconv.Itoa(i - 1)}
			}
			if u != nil && len(u.PassiveHealthCheck) > 0 {
				m.NotCarried(of.object, "instances that fail are left alone by all callers: outliers of the service",
					append(at, "passiveHealthCheck")...)
			}
			if u != nil && (u.Protocol != "" || len(u.MeshGateway) > 0) {
				m.NotCarried(of.object, "the protocol is the callee's, and members call each other straight", at...)
			}
		}
	}
}

// portsOf are the ports of a service or external.
func (m *reader) portsOf(callee string) map[string]*spec.Port {
	if s := m.Services[callee]; s != nil {
		return s.Spec.Ports
	}
	if e := m.Repository.External[callee]; e != nil {
		return e.Ports
	}
	return nil
}

// connections are the bounds of calls; nil for none.
func (u *upstreamConfig) connections() *spec.Connections {
	out := &spec.Connections{}
	if u.ConnectTimeoutMs > 0 {
		out.ConnectTimeout = spec.Written(importer.Duration(time.Duration(u.ConnectTimeoutMs) * time.Millisecond))
	}
	if l := u.Limits; l != nil {
		for into, n := range map[*spec.Field[int]]int{
			&out.Max: l.MaxConnections, &out.MaxPending: l.MaxPendingRequests,
			&out.MaxRequests: l.MaxConcurrentRequests,
		} {
			if n > 0 {
				*into = spec.Written(n)
			}
		}
	}
	if *out == (spec.Connections{}) {
		return nil
	}
	return out
}

// destination makes an external of a service outside the mesh.
func (m *reader) destination(o *importer.Object, name, protocol string, addresses []string, port int) {
	if protocol == "" {
		protocol = m.protocol
	}
	if len(addresses) == 0 || port == 0 {
		m.NotCarried(o, "an external has a host and a port", "spec", "destination")
		return
	}
	if protocol == "tcp" && port == 443 {
		protocol = "tls"
	}
	e := &spec.External{
		Hosts: spec.WrittenAll(addresses...),
		Ports: map[string]*spec.Port{"main": {Port: spec.Written(port), Protocol: spec.Written(protocol)}},
	}
	m.MadeFrom("external", m.AddExternal(name, "default", e), o)
	m.destinations[addresses[0]], m.outside[name] = name, true
	m.Note(o, fmt.Sprintf("members call %s straight, those that its intentions let, and not by a terminating gateway: via a "+
		"gateway with egress does so", name))
}

// length is a duration as Consul writes it, of text or of nanoseconds.
func length(text string) (string, bool) {
	d, err := time.ParseDuration(text)
	if n, bad := strconv.ParseInt(text, 10, 64); bad == nil {
		d, err = time.Duration(n), nil
	}
	return importer.Duration(d), err == nil && d > 0
}
