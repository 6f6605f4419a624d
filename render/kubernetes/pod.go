package kubernetes

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/meshc/meshc/compiler/ir"
)

// teamContainer is a container that a team wrote; init when it is an init container.
type teamContainer struct {
	node *kyaml.RNode
	init bool
}

// teamContainers are those of a pod without the mesh's own.
func teamContainers(pod *kyaml.RNode) []teamContainer {
	var out []teamContainer
	for _, field := range []string{"initContainers", "containers"} {
		list, err := pod.Pipe(kyaml.Lookup(field))
		if err != nil || list == nil {
			continue
		}
		elements, err := list.Elements()
		if err != nil {
			continue
		}
		for _, c := range elements {
			if name, _ := c.GetString("name"); !slices.Contains(ownContainers, name) {
				out = append(out, teamContainer{c, field == "initContainers"})
			}
		}
	}
	return out
}

// podFits refuses a pod that would go round its proxy, or lose what it says itself.
func (i *Injector) podFits(node *kyaml.RNode, name string, s *ir.Service) error {
	pod, err := node.Pipe(kyaml.Lookup(podSpec(s)...))
	if err != nil || pod == nil || pod.YNode().Kind != kyaml.MappingNode {
		return fmt.Errorf("%s has no pod in %s, so no proxy can be added", name, strings.Join(podSpec(s), "."))
	}
	for _, field := range containerFields {
		list, err := pod.Pipe(kyaml.Lookup(field))
		if err != nil || list == nil || list.IsNilOrEmpty() {
			continue
		}
		if list.YNode().Kind != kyaml.SequenceNode {
			return fmt.Errorf("%s: %s is not a list", name, field)
		}
		for n, c := range list.Content() {
			if c.Kind != kyaml.MappingNode {
				return fmt.Errorf("%s: %s[%d] is not a container", name, field, n)
			}
		}
	}
	if !isFalse(pod, "hostNetwork") && s.Proxy.Interception == ir.InterceptRedirect {
		return fmt.Errorf("%s is in the network of its node (hostNetwork), where redirection would take the node's connections\n  hint: services: %q: proxy: interception: \"explicit\"", name, s.Name)
	}
	if account := value(pod, "serviceAccountName"); account != "" && account != s.Account {
		return fmt.Errorf("%s runs as the service account %s, and the identity of %s is that of %s\n  hint: services: %q: account: %q", name, account, s.Name, s.Account, s.Name, account)
	}
	return nil
}

// value is a scalar inside a node; empty for none.
func value(node *kyaml.RNode, path ...string) string {
	field, err := node.Pipe(kyaml.Lookup(path...))
	if err != nil || field == nil {
		return ""
	}
	return field.YNode().Value
}

// number is a whole number; 0 for what is none.
func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
