package gatewayapi

import (
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

var streamReasons = map[string]string{
	"rules": "a listener's connections go to one service",
}

// attachStream sends the connections of listeners to a TCPRoute's or TLSRoute's backend.
func (m *reader) attachStream(o *importer.Object) {
	var d gatewayv1.TLSRouteSpec // a TCPRoute has the same, without hostnames
	if !m.Decode(o, "spec", &d) {
		return
	}
	parents := routeSpec{CommonRouteSpec: importer.Take(&d.CommonRouteSpec)}
	for _, h := range importer.Take(&d.Hostnames) {
		parents.Hostnames = append(parents.Hostnames, string(h))
	}
	var to *spec.Destination
	if len(d.Rules) == 1 && len(d.Rules[0].BackendRefs) == 1 {
		r := &d.Rules[0]
		r.Name = nil
		to = m.destination(o, r.BackendRefs[0].BackendObjectReference, nil, "tcp", "spec", "rules", "0", "backendRefs",
			"0")
		r.BackendRefs = nil
	}
	m.Left(o, "spec", &d, streamReasons)
	if to == nil {
		return
	}
	m.each(o, parents, func(l *listener) bool {
		secure := l.spec.Protocol.Value == "tls" || l.spec.TLS != nil
		if !l.spec.Protocol.IsSet() || secure != (o.Kind == "TLSRoute") {
			return false
		}
		var hosts []string
		for _, h := range parents.Hostnames {
			if both, ok := importer.Intersect(l.host, h); ok {
				hosts = append(hosts, both)
			}
		}
		if len(parents.Hostnames) > 0 {
			if len(hosts) == 0 {
				return false
			}
			slices.Sort(hosts)
		}
		at := l.spec
		if at.To != nil {
			if hosts == nil {
				m.NotCarried(o, "the connections of the listener "+l.name+" go to "+at.To.Service.Value+" already",
					"spec")
				return true
			}
			another := *l.spec
			at = &another
			l.more = append(l.more, at)
		}
		if hosts != nil {
			at.Hosts = spec.WrittenAll(hosts...)
		}
		at.To = &spec.ListenerTo{Service: to.Service, Port: to.Port}
		return true
	})
}
