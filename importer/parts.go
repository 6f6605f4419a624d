package importer

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/membername"
	"github.com/meshc/meshc/compiler/spec"
)

// A Service whose pods are a part of another's is a version of it: Services for versions (api, api-v1 and api-v2) are
// how the Gateway API, Flagger and Argo Rollouts split requests. One that has the same pods is another name of it.

// Part is a Service that is no service of the mesh by itself.
type Part struct {
	// Of is the service that its pods are of, and Version which of them; "" for all.
	Of      *Service
	Version string
	// Routes are those of requests to its name; nil for all to the version.
	Routes []*spec.Route
	// service is the Service as it was read.
	service *Service
}

// Port is the name of the port of the service that leads where a port of the part does; "" for none.
func (p *Part) Port(number int) string {
	if own := p.service.Port(number); own != "" {
		port := p.service.Spec.Ports[own]
		return p.Of.Listens(port.Target.Or(port.Port.Value))
	}
	return ""
}

// Part returns the part with this namespace and name; nil for none.
func (m *Mesh) Part(namespace, name string) *Part { return m.versionParts[namespace+"/"+name] }

// LookupPart returns the part that a host means in the namespace from; nil for none.
func (m *Mesh) LookupPart(host, from string) *Part {
	name, rest, dotted := strings.Cut(host, ".")
	if !dotted {
		return m.Part(from, name)
	}
	namespace, rest, dotted := strings.Cut(rest, ".")
	if !dotted || rest == "svc" || rest == "svc."+m.ClusterDomain {
		return m.Part(namespace, name)
	}
	return nil
}

// takeParts removes the Services whose pods are those, or a part of those, of another one.
func (m *Mesh) takeParts() {
	m.versionParts = map[string]*Part{}
	services := m.Sorted()
	for _, s := range services {
		var whole *Service
		for _, other := range services {
			if s.partOf(other) && (whole == nil || len(other.Workloads) > len(whole.Workloads)) {
				whole = other
			}
		}
		if whole != nil {
			m.versionParts[s.Namespace+"/"+membername.Plain(s.Name)] = &Part{Of: whole, service: s}
		}
	}
	for key, p := range m.versionParts { // a part of a part is one of the whole
		for next := m.Part(p.Of.Namespace, membername.Plain(p.Of.Name)); next != nil; {
			p.Of = next.Of
			next = m.Part(p.Of.Namespace, membername.Plain(p.Of.Name))
		}
		m.versionParts[key] = p
		delete(m.Services, p.service.Name)
		delete(m.Repository.Services, p.service.Name)
	}
}

// partOf reports whether the pods of a service are a part of another's. Of two with the same pods the one whose name
// comes first is the whole.
func (s *Service) partOf(other *Service) bool {
	if s == other || len(s.Workloads) == 0 || s.Namespace != other.Namespace ||
		slices.ContainsFunc(s.Workloads, func(w *Workload) bool { return !slices.Contains(other.Workloads, w) }) {
		return false
	}
	return len(s.Workloads) < len(other.Workloads) || s.Name > other.Name
}

// nameParts makes versions of the parts.
func (m *Mesh) nameParts() {
	selfless := map[*Service]bool{}
	for _, key := range slices.Sorted(maps.Keys(m.versionParts)) {
		p := m.versionParts[key]
		s, whole := p.service, p.Of
		plain := membername.Plain(s.Name)
		if m.Services[whole.Name] == nil {
			m.NotCarried(s.Object, fmt.Sprintf("its pods are of %s, which is not carried over", whole.Object))
			delete(m.versionParts, key)
			continue
		}
		if len(s.Workloads) == len(whole.Workloads) {
			m.otherName(p)
			continue
		}
		labels := map[string]string{}
		for key, value := range s.Selector {
			if whole.Selector[key] != value {
				labels[key] = value
			}
		}
		name := Free(whole.Spec.Versions, NameOf(strings.TrimPrefix(plain, membername.Plain(whole.Name)+"-")))
		for known := range whole.made {
			if matchesLabels(whole.Spec.Versions[known].Labels, labels) {
				name = NameOf(strings.TrimPrefix(plain, membername.Plain(whole.Name)+"-"))
			}
		}
		whole.Version(name, labels)
		p.Version = name
		if !selfless[whole] {
			selfless[whole] = true
			m.Note(whole.Object, fmt.Sprintf("%s and the like are its versions: requests to them are told by their header host, "+
				"and not by the address of a Service or a pod that they are sent to, and its own pods cannot call it or them, "+
				"as no service of the mesh calls itself (MC1204)", plain))
		}
	}
}

// otherName has a service answer for the names of another Service, where the same ports lead to the same places. It
// returns false, and tells that, where they do not.
func (m *Mesh) otherName(p *Part) bool {
	whole, plain := p.Of, membername.Plain(p.service.Name)
	for name, port := range p.service.Spec.Ports {
		if own := whole.Spec.Ports[p.Port(port.Port.Value)]; own == nil || own.Port != port.Port {
			m.NotCarried(p.service.Object, fmt.Sprintf("it has pods of %s, whose port for %s has another number: "+
				"members call %s", whole.Object, name, membername.Plain(whole.Name)))
			return false
		}
	}
	if whole.PortsOfHTTP() == 0 {
		m.NotCarried(p.service.Object, fmt.Sprintf("it has pods of %s: members call that", whole.Object))
		return false
	}
	host := plain + "." + whole.Namespace
	hosts := []string{host, host + ".svc", host + ".svc." + m.ClusterDomain}
	if plain == p.service.Name && !m.Names()[plain] { // nobody else has it
		hosts = append([]string{plain}, hosts...)
	}
	whole.Spec.Hosts = append(whole.Spec.Hosts, spec.WrittenAll(hosts...)...)
	return true
}

// routeParts has requests to the names of parts go to their versions, by their own routes where they have some.
func (m *Mesh) routeParts() {
	for _, key := range slices.Backward(slices.Sorted(maps.Keys(m.versionParts))) {
		p := m.versionParts[key]
		if p.Version == "" || !m.otherName(p) {
			continue
		}
		routes := Ended(p.Routes)
		if routes == nil {
			routes = []*spec.Route{{To: []*spec.Destination{{Version: spec.Written(p.Version)}}}}
		}
		for _, r := range routes {
			if r.Match == nil {
				r.Match = &spec.Match{}
			}
			match := *r.Match
			match.Headers = maps.Clone(match.Headers)
			if match.Headers == nil {
				match.Headers = map[string]*spec.StringMatch{}
			}
			match.Headers["host"] = &spec.StringMatch{Regex: spec.Written(
				regexp.QuoteMeta(membername.Plain(p.service.Name)) + `(\..*)?(:[0-9]+)?`)}
			r.Match = &match
		}
		p.Of.Spec.Routes = append(routes, p.Of.Spec.Routes...)
		NameApart(p.Of.Spec.Routes)
	}
}
