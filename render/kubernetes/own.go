package kubernetes

import (
	"bytes"
	"fmt"
	"slices"

	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
)

// containerFields are the lists of a pod that have containers.
var containerFields = []string{"initContainers", "containers", "ephemeralContainers"}

// ownContainers are the names of containers that are meshc's alone.
var ownContainers = []string{containerName, redirectName, requesterName}

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
