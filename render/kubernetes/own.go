package kubernetes

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/meshc/meshc/compiler/ir"
)

// containerFields are the lists of a pod that have containers.
var containerFields = []string{"initContainers", "containers", "ephemeralContainers"}

// ownContainers are the names of containers that are meshc's alone.
var ownContainers = []string{containerName, redirectName, requesterName}

// HasProxy reports whether a pod has the proxy of a member.
func HasProxy(pod *corev1.PodSpec) bool {
	named := func(c corev1.Container) bool { return c.Name == containerName }
	return slices.ContainsFunc(pod.InitContainers, named) || slices.ContainsFunc(pod.Containers, named)
}

// takeOwn takes out of a pod what meshc has added to it before, to be added anew where it
// belongs: in front. What has a name of meshc's and is not exactly that is an error: merged,
// it would run somebody else's command with the rights of the mesh's own container.
func takeOwn(pod, added *kyaml.RNode, name string) error {
	for _, field := range slices.Concat(containerFields, []string{"volumes"}) {
		list, err := pod.Pipe(kyaml.Lookup(field))
		if err != nil || list.IsNilOrEmpty() {
			continue
		}
		own, err := byName(added, field)
		if err != nil {
			return err
		}
		var left []*kyaml.Node
		for _, element := range list.Content() {
			node := kyaml.NewRNode(element)
			called := value(node, "name")
			want, isOwn := own[called]
			if !isOwn && (field == "volumes" || !slices.Contains(ownContainers, called)) {
				left = append(left, element)
				continue
			}
			if got, err := node.MarshalJSON(); err != nil || !isOwn || !bytes.Equal(got, want) {
				return fmt.Errorf(
					"%s has something called %s in %s, which is a name that meshc uses, and it is not what this meshc adds\n  hint: remove it, or rename it; meshc inject adds its own", name, called, field)
			}
		}
		if len(left) == len(list.Content()) {
			continue
		}
		if len(left) == 0 {
			if err := pod.PipeE(kyaml.Clear(field)); err != nil {
				return err
			}
			continue
		}
		list.YNode().Content = left
	}
	return nil
}

// teamsKeys refuses a label or annotation that the mesh would add to a team's pods and that these have with another
// value: the team's Deployment and Services may find the pods by it.
func teamsKeys(workload, added *kyaml.RNode, name string, s *ir.Service) error {
	path := podSpec(s)
	for _, of := range []struct {
		field, from string
		values      map[string]string
	}{
		{"labels", "podLabels", s.Proxy.PodLabels}, {"annotations", "podAnnotations", s.Proxy.PodAnnotations},
	} {
		for _, key := range slices.Sorted(maps.Keys(of.values)) {
			at := slices.Concat(path[:len(path)-1], []string{"metadata", of.field, key})
			if has := value(workload, at...); has != "" && has != value(added, at...) {
				return fmt.Errorf(
					"%s: its pods have %s %q in %s, and proxy.%s of %s says %q\n  hint: remove it in one of the two",
					name, key, has, of.field, of.from, s.Name, of.values[key])
			}
		}
	}
	return nil
}

// byName are the elements of a list of a pod as JSON, by their names.
func byName(pod *kyaml.RNode, field string) (map[string][]byte, error) {
	out := map[string][]byte{}
	list, err := pod.Pipe(kyaml.Lookup(field))
	if err != nil || list.IsNilOrEmpty() {
		return out, err
	}
	for _, element := range list.Content() {
		node := kyaml.NewRNode(element)
		if out[value(node, "name")], err = node.MarshalJSON(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
