package gatewayapi

import (
	"fmt"
	"slices"
	"strconv"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshc/meshc/importer"
)

// routeSpec is what the kinds of routes have in common.
type routeSpec struct {
	gatewayv1.CommonRouteSpec `json:",inline"`
	Hostnames                 []string `json:"hostnames"`
}

// parents are a route's, and the hosts that it is for.
func (m *reader) parents(o *importer.Object) routeSpec {
	var d routeSpec
	if !m.DecodePart(o, "spec", &d) {
		return routeSpec{}
	}
	return d
}

// attach attaches a route of HTTP to the listeners of its parents.
func (m *reader) attach(o *importer.Object) {
	d := m.parents(o)
	m.each(o, d, func(l *listener) bool {
		if l.spec.Protocol.IsSet() {
			return false
		}
		hosts := []string{l.host}
		if len(d.Hostnames) > 0 {
			hosts = nil
			for _, h := range d.Hostnames {
				if both, ok := importer.Intersect(l.host, h); ok {
					hosts = append(hosts, both)
				}
			}
		}
		if len(hosts) == 0 {
			return false
		}
		slices.Sort(hosts)
		if !slices.ContainsFunc(l.routes, func(a attached) bool { return a.object == o }) {
			l.routes = append(l.routes, attached{o, hosts})
		}
		return true
	})
}

// each offers the route to the listeners that its parents name. A route that no listener accepts is reported.
func (m *reader) each(o *importer.Object, d routeSpec, take func(l *listener) bool) {
	for i, parent := range d.ParentRefs {
		at := []string{"spec", "parentRefs", strconv.Itoa(i)}
		if isService(parent) {
			continue // see toServices
		}
		namespace := string(valueOr(parent.Namespace, gatewayv1.Namespace(o.Metadata.Namespace)))
		kind := string(valueOr(parent.Kind, "Gateway"))
		g := m.gateways[namespace+"/"+string(parent.Name)]
		if kind == "ListenerSet" {
			g = m.ofSet(namespace + "/" + string(parent.Name))
		}
		if kind != "Gateway" && kind != "ListenerSet" || valueOr(parent.Group, group) != group || g == nil {
			m.NotCarried(o, "no "+kind+" "+namespace+"/"+string(parent.Name)+" was read", at...)
			continue
		}
		found := false
		for _, l := range g.listeners {
			if l.owner() != kind+" "+namespace+"/"+string(parent.Name) ||
				parent.SectionName != nil && string(*parent.SectionName) != l.name ||
				parent.Port != nil && int(*parent.Port) != l.spec.Port.Value {
				continue
			}
			if m.takesFrom(l, o.Metadata.Namespace) && take(l) {
				found = true
			}
		}
		if !found {
			m.NotCarried(o, "no listener of "+kind+" "+namespace+"/"+string(parent.Name)+" takes it", at...)
		}
	}
}

// toServices adds routes to the services that are their parents. A route in another namespace applies only to the
// callers in that namespace (GAMMA, "consumer routes").
func (m *reader) toServices() {
	byService, ofPart := map[*importer.Service][]*candidate{}, map[*importer.Part][]*candidate{}
	for _, kind := range routeKinds {
		for _, o := range m.objectsOf(kind) {
			for i, parent := range m.parents(o).ParentRefs {
				if !isService(parent) {
					continue
				}
				at := []string{"spec", "parentRefs", strconv.Itoa(i)}
				namespace := string(valueOr(parent.Namespace, gatewayv1.Namespace(o.Metadata.Namespace)))
				s := m.Service(namespace, string(parent.Name))
				switch {
				case s == nil && m.Part(namespace, string(parent.Name)) != nil:
					part := m.Part(namespace, string(parent.Name))
					if parent.Port != nil && len(part.Of.Spec.Ports) > 1 {
						m.NotCarried(o, "a route holds for each port of "+part.Of.Name+" that speaks HTTP", append(at, "port")...)
					}
					if namespace != o.Metadata.Namespace || part.Version == "" {
						m.NotCarried(o, "a service's routes hold for every caller, and those of "+part.Of.Name+" for it", at...)
						continue
					}
					ofPart[part] = append(ofPart[part], m.candidates(o, part.Of, edge{})...)
				case s == nil:
					m.NotCarried(o, "no Service "+namespace+"/"+string(parent.Name)+" was read", at...)
				case parent.Port != nil && s.Port(int(*parent.Port)) == "":
					m.NotCarried(o, fmt.Sprintf("%s has no port %d", s.Name, *parent.Port), append(at, "port")...)
				case namespace != o.Metadata.Namespace:
					m.NotCarried(o, "a service's routes hold for every caller, and not for those of one namespace",
						at...)
				case parent.Port != nil && len(s.Spec.Ports) > 1:
					m.NotCarried(o, "a route holds for each port of "+s.Name+" that speaks HTTP", append(at, "port")...)
					fallthrough
				default:
					byService[s] = append(byService[s], m.candidates(o, s, edge{})...)
				}
			}
		}
	}
	for part, candidates := range ofPart {
		part.Routes = m.ordered(candidates)
	}
	for s, candidates := range byService {
		s.Spec.Routes = m.ordered(candidates)
		s.Spec.Routes = importer.Tidied(importer.Ended(s.Spec.Routes))
	}
}

// isService reports whether the parent of a route is a Service. Linkerd's own documentation calls the core group core.
func isService(p gatewayv1.ParentReference) bool {
	of := valueOr(p.Group, group)
	return valueOr(p.Kind, "Gateway") == "Service" && (of == "" || of == "core")
}
