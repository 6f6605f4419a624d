package kubernetes

import (
	"fmt"
	"slices"

	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/meshc/meshc/compiler/ir"
)

// unproxied tells of the objects in a document that have pods and get no proxy: of a kind that meshc adds none to, or
// that no service of the mesh names. Whoever applies them would else find out by calls that are refused.
func (i *Injector) unproxied(node *kyaml.RNode) {
	if node.YNode() == nil || node.YNode().Kind != kyaml.MappingNode {
		return
	}
	if items, err := node.Pipe(kyaml.Lookup("items")); err == nil && !items.IsNil() && items.YNode().
		Kind == kyaml.SequenceNode {
		for _, item := range items.Content() {
			i.unproxied(kyaml.NewRNode(item))
		}
		return
	}
	if node.GetKind() == "" || !hasPods(node.YNode(), maxDepth) {
		return
	}
	service, elsewhere := i.service(node)
	if service != nil {
		return
	}
	namespace, why := node.GetNamespace(), "no service of the mesh names it as its workload"
	if namespace == "" {
		namespace = i.Namespace
	}
	if group, ok := groups[ir.PodsKind(node.GetKind())]; !ok || node.GetApiVersion() != group+"/v1" {
		why = fmt.Sprintf("it is a %s of %s, and meshc adds proxies to Deployments, StatefulSets and DaemonSets of apps/v1"+
			" and to Jobs and CronJobs of batch/v1", node.GetKind(), node.GetApiVersion())
	}
	if node.GetKind() == "Rollout" {
		why += "; a Rollout can name a Deployment by spec.workloadRef"
	}
	if elsewhere != "" {
		why = fmt.Sprintf("it names no namespace, and the mesh has one in %s (--namespace)", elsewhere)
	}
	i.Note(fmt.Sprintf("the pods of %s %s/%s get no proxy: %s", node.GetKind(), namespace, node.GetName(), why))
}

// maxDepth bounds how deep the containers of pods are looked for. In a CronJob they are five fields deep.
const maxDepth = 12

// hasPods reports whether a part of an object is a pod, or has the template of some: a list "containers" of which each
// element has a name or an image. In whatever kind it stands, it is written so.
func hasPods(node *kyaml.Node, depth int) bool {
	if depth == 0 {
		return false
	}
	switch node.Kind {
	case kyaml.SequenceNode:
		return slices.ContainsFunc(node.Content, func(n *kyaml.Node) bool { return hasPods(n, depth-1) })
	case kyaml.MappingNode:
		for n := 0; n+1 < len(node.Content); n += 2 {
			if node.Content[n].Value == "containers" && areContainers(node.Content[n+1]) ||
				hasPods(node.Content[n+1], depth-1) {
				return true
			}
		}
	}
	return false
}

func areContainers(list *kyaml.Node) bool {
	return list.Kind == kyaml.SequenceNode && len(list.Content) > 0 &&
		!slices.ContainsFunc(list.Content, func(c *kyaml.Node) bool {
			container := kyaml.NewRNode(c)
			return c.Kind != kyaml.MappingNode || value(container, "name") == "" && value(container, "image") == ""
		})
}
