package link

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// The fields of affinities as Kubernetes has them.
const (
	required  = "requiredDuringSchedulingIgnoredDuringExecution"
	preferred = "preferredDuringSchedulingIgnoredDuringExecution"
)

// affinity is on which nodes pods may run, and beside or apart from which other pods. What Kubernetes would refuse is
// an error.
func (l *linker) affinity(here place, a *spec.Affinity) *ir.Affinity {
	if a == nil {
		return nil
	}
	return &ir.Affinity{
		Node: l.nodeAffinity(here.field("nodeAffinity"), a.Node),
		Pod:  l.podAffinity(here.field("podAffinity"), a.Pod),
		Anti: l.podAffinity(here.field("podAntiAffinity"), a.Anti),
	}
}

func (l *linker) nodeAffinity(here place, a *spec.NodeAffinity) *ir.NodeAffinity {
	if a == nil {
		return nil
	}
	out := &ir.NodeAffinity{}
	if r := a.Required; r != nil {
		at := here.field(required + ".nodeSelectorTerms")
		if len(r.Terms) == 0 {
			l.add(diag.EmptyList, at, "nodeSelectorTerms is empty, so no node fulfils any", at.pos(r.Pos)).
				hint("write a term, or remove %s", required)
		}
		out.Required = &ir.NodeSelector{}
		for i, t := range r.Terms {
			out.Required.Terms = append(out.Required.Terms, l.nodes(at.index(i), t))
		}
	}
	for i, p := range a.Preferred {
		out.Preferred = append(out.Preferred, ir.PreferredNodes{
			Weight:     int32(p.Weight.Value),
			Preference: l.nodes(here.field(preferred).index(i).field("preference"), p.Preference),
		})
	}
	return out
}

// nodes are those that fulfil a term. One without requirements is fulfilled by none in Kubernetes.
func (l *linker) nodes(here place, t *spec.NodeSelectorTerm) ir.NodeSelectorTerm {
	if len(t.Requirements) == 0 {
		l.add(diag.EmptyList, here.field("matchExpressions"), "matchExpressions is empty, which no node fulfils",
			here.pos(t.Pos)).hint(`matchExpressions: [{key: "node.example/pool", operator: "In", values: ["edge"]}]`)
	}
	return ir.NodeSelectorTerm{Requirements: l.requirements(here, t.Requirements, true)}
}

func (l *linker) podAffinity(here place, a *spec.PodAffinity) *ir.PodAffinity {
	if a == nil {
		return nil
	}
	out := &ir.PodAffinity{}
	for i, t := range a.Required {
		out.Required = append(out.Required, l.podTerm(here.field(required).index(i), t))
	}
	for i, p := range a.Preferred {
		out.Preferred = append(out.Preferred, ir.PreferredPods{
			Weight: int32(p.Weight.Value),
			Term:   l.podTerm(here.field(preferred).index(i).field("podAffinityTerm"), p.Term),
		})
	}
	return out
}

func (l *linker) podTerm(here place, t *spec.PodAffinityTerm) ir.PodAffinityTerm {
	return ir.PodAffinityTerm{
		LabelSelector: l.selector(here.field("labelSelector"), t.LabelSelector), TopologyKey: t.TopologyKey.Value,
		Namespaces:        values(t.Namespaces),
		NamespaceSelector: l.selector(here.field("namespaceSelector"), t.NamespaceSelector),
	}
}

func (l *linker) selector(here place, s *spec.LabelSelector) *ir.LabelSelector {
	if s == nil {
		return nil
	}
	return &ir.LabelSelector{Labels: texts(s.Labels), Requirements: l.requirements(here, s.Requirements, false)}
}

// requirements are what labels have to be, of nodes or of pods and namespaces. Each operator takes another number of
// values.
func (l *linker) requirements(here place, from []*spec.Requirement, nodes bool) (out []ir.Requirement) {
	for i, r := range from {
		written := values(r.Values)
		var wants, hint string
		switch r.Operator.Value {
		case "In", "NotIn":
			if len(written) == 0 {
				wants, hint = "wants values", `values: ["…"]`
			}
		case "Exists", "DoesNotExist":
			if len(written) > 0 {
				wants, hint = "is about the key alone", "remove values"
			}
		default: // Gt, Lt
			if !nodes {
				wants, hint = "compares labels of nodes alone", `operator: "In", values: ["…"]`
			} else if _, err := strconv.Atoi(strings.Join(written, " ")); err != nil {
				wants, hint = "wants one value, a whole number", `values: ["8"]`
			}
		}
		if wants != "" {
			at := here.field("matchExpressions").index(i)
			l.add(diag.OutOfRange, at.field("values"), fmt.Sprintf("operator %q of %s %s: Kubernetes would refuse the pods",
				r.Operator.Value, r.Key.Value, wants), at.pos(r.Operator.Pos)).hint("%s", hint)
		}
		out = append(out, ir.Requirement{Key: r.Key.Value, Operator: r.Operator.Value, Values: written})
	}
	return out
}
