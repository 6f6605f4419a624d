package istio

import (
	"maps"
	"slices"

	"github.com/meshc/meshc/compiler/spec"
)

// byProtocol has rules about requests hold for the ports that speak HTTP. On others Istio leaves out what a connection
// does not have: a rule of DENY denies each connection, and one of ALLOW lets none in (task "Authorization for TCP
// traffic").
func (t *translation) byProtocol(rules []*spec.Rule) []*spec.Rule {
	var requests, connections []spec.Field[string]
	for _, name := range slices.Sorted(maps.Keys(t.service.Spec.Ports)) {
		if p := t.service.Spec.Ports[name].Protocol.Value; p == "tcp" || p == "tls" {
			connections = append(connections, spec.Written(name))
		} else {
			requests = append(requests, spec.Written(name))
		}
	}
	if len(connections) == 0 {
		return rules
	}
	var out []*spec.Rule
	for _, r := range rules {
		if r.Methods == nil && r.Paths == nil && r.Headers == nil && r.JWT == nil {
			out = append(out, r)
			continue
		}
		below, above := within(r.Ports, connections), within(r.Ports, requests)
		if len(below) > 0 && t.deny {
			whole := &spec.Rule{From: r.From, Ports: below}
			t.NotCarried(t.object, "port "+below[0].Value+" of "+t.service.Name+" has connections and no requests: the rule "+
				"denies all of those that its source makes, as in Istio", t.at...)
			out = append(out, whole)
		}
		if len(above) > 0 {
			r.Ports = above
			out = append(out, r)
		} else if !t.deny {
			t.NotCarried(t.object, "port "+below[0].Value+" of "+t.service.Name+" has connections and no requests: the rule "+
				"lets none in, as in Istio", t.at...)
		}
	}
	return out
}

// within are the ports of a rule, which has all when it names none, that are among others.
func within(of, among []spec.Field[string]) []spec.Field[string] {
	if of == nil {
		return among
	}
	return slices.DeleteFunc(slices.Clone(of), func(f spec.Field[string]) bool { return !slices.Contains(among, f) })
}
