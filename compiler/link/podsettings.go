package link

import (
	"fmt"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// gatewayPods is what the pods of a gateway carry, and where they run. One without listeners has no Service for
// clients.
func (l *linker) gatewayPods(here place, g *ir.Gateway, p *spec.PodSettings) ir.PodSettings {
	if p == nil {
		return ir.PodSettings{}
	}
	for _, key := range sortedKeys(p.ServiceAnnotations) {
		if len(g.Listeners) == 0 {
			l.unread(here.field("serviceAnnotations"), p.ServiceAnnotations[key].Pos,
				g.Name+" has no listeners, so it has no Service for clients")
			break
		}
	}
	return l.podSettings(here, p)
}

// podSettings is what pods that are the mesh's own carry, and where they run.
func (l *linker) podSettings(here place, p *spec.PodSettings) ir.PodSettings {
	l.ownKeys(here.field("labels"), p.Labels)
	l.ownKeys(here.field("annotations"), p.Annotations)
	l.ownKeys(here.field("serviceAnnotations"), p.ServiceAnnotations)
	return ir.PodSettings{
		Labels: texts(p.Labels), Annotations: texts(p.Annotations), NodeSelector: texts(p.NodeSelector),
		Tolerations:        l.tolerations(here.field("tolerations"), p.Tolerations),
		Affinity:           l.affinity(here.field("affinity"), p.Affinity),
		Spread:             l.spread(here.field("topologySpreadConstraints"), p),
		PriorityClass:      p.PriorityClass.Value,
		ServiceAnnotations: texts(p.ServiceAnnotations),
	}
}

// controllersKeys are labels that controllers of Kubernetes write on pods, and tell these by.
var controllersKeys = map[string]bool{
	"pod-template-hash": true, "controller-revision-hash": true, "pod-template-generation": true,
	"statefulset.kubernetes.io/pod-name": true, "apps.kubernetes.io/pod-index": true,
	"job-name": true, "controller-uid": true, "batch.kubernetes.io/job-name": true,
	"batch.kubernetes.io/controller-uid": true, "batch.kubernetes.io/job-completion-index": true,
}

// ownKeys refuses labels and annotations that have a writer already: meshc, or a controller of Kubernetes.
func (l *linker) ownKeys(here place, from map[string]spec.Field[string]) {
	for _, key := range sortedKeys(from) {
		writer := "meshc"
		switch {
		case controllersKeys[key]:
			writer = "Kubernetes"
		case !strings.HasPrefix(key, "meshc.dev/") && !strings.HasPrefix(key, "app.kubernetes.io/"):
			continue
		}
		l.add(diag.OwnLabel, here, fmt.Sprintf("%s is written by %s", key, writer), here.pos(from[key].Pos)).
			hint("remove it, or give it a key of another domain")
	}
}

// tolerations are taints of nodes that pods put up with. Combinations that Kubernetes would refuse are errors.
func (l *linker) tolerations(here place, from []*spec.Toleration) (out []ir.Toleration) {
	for i, t := range from {
		at := here.index(i)
		toleration := ir.Toleration{
			Key: t.Key.Value, Operator: t.Operator.Value, Value: t.Taint.Value, Effect: t.Effect.Value,
		}
		if toleration.Operator == "" {
			toleration.Operator = "Exists"
			if toleration.Value != "" {
				toleration.Operator = "Equal"
			}
		}
		switch {
		case toleration.Operator == "Exists" && toleration.Value != "":
			l.add(diag.NoEffect, at.field("value"), `value cannot take effect: operator "Exists" is about any value`,
				at.pos(t.Taint.Pos)).hint(`remove it, or write operator: "Equal"`)
		case toleration.Operator == "Equal" && toleration.Key == "":
			l.add(diag.MissingField, at.field("key"), `key is missing: operator "Equal" compares the value of one taint`,
				at.pos(t.Pos)).hint(`write the key, or operator: "Exists" for all taints`)
		}
		if t.Seconds.IsSet() {
			if toleration.Effect != "NoExecute" {
				l.add(diag.NoEffect, at.field("tolerationSeconds"),
					`tolerationSeconds cannot take effect: taints with effect "NoExecute" alone evict pods`,
					at.pos(t.Seconds.Pos)).hint(`remove it, or write effect: "NoExecute"`)
			}
			seconds := int64(t.Seconds.Value)
			toleration.Seconds = &seconds
		}
		out = append(out, toleration)
	}
	return out
}

// spread is how pods are spread over the parts of a cluster.
func (l *linker) spread(here place, p *spec.PodSettings) (out []ir.SpreadConstraint) {
	if p.Spread != nil && len(p.Spread) == 0 {
		l.add(diag.EmptyList, here, "topologySpreadConstraints is empty, so it would spread no pods",
			here.pos(p.Pos)).hint("omit it for the default, over nodes and zones")
	}
	type key struct{ topology, otherwise string }
	known := map[key]*spec.TopologySpreadConstraint{}
	for i, c := range p.Spread {
		at := here.index(i)
		if c.MinDomains.IsSet() && c.Otherwise.Value != "DoNotSchedule" {
			l.unread(at.field("minDomains"), c.MinDomains.Pos, `no pod waits with whenUnsatisfiable "ScheduleAnyway"`)
		}
		of := key{c.TopologyKey.Value, c.Otherwise.Value}
		if first := known[of]; first != nil {
			l.add(diag.NoEffect, at, fmt.Sprintf(
				"there are two constraints of %s with %q, which Kubernetes refuses", of.topology, of.otherwise),
				at.pos(c.TopologyKey.Pos), at.pos(first.TopologyKey.Pos)).hint("remove one of them")
		}
		known[of] = c
		out = append(out, ir.SpreadConstraint{
			MaxSkew: int32(c.MaxSkew.Value), TopologyKey: of.topology, WhenUnsatisfiable: of.otherwise,
			MinDomains: int32(c.MinDomains.Value),
		})
	}
	return out
}

// texts are the values of a map; nil for none.
func texts(from map[string]spec.Field[string]) map[string]string {
	if len(from) == 0 {
		return nil
	}
	out := make(map[string]string, len(from))
	for key, f := range from {
		out[key] = f.Value
	}
	return out
}
