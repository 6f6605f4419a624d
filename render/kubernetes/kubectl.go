package kubernetes

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/yaml"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
	sigsyaml "sigs.k8s.io/yaml"
)

// kubectlWorkloads are the workloads of the mesh that kubectl reads in a document, as "KIND NAMESPACE/NAME", and as
// often as it does: with merge keys merged, of a key that is there twice the last, and all of JSON in a row.
func (i *Injector) kubectlWorkloads(text []byte) (out []string) {
	silent := *i
	silent.Note = func(string) {}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var object any
		if decoder.Decode(&object) != nil {
			return out // it ends, or kubectl does
		}
		data, err := json.Marshal(object)
		if err != nil {
			return out
		}
		node, err := kyaml.Parse(string(data))
		if err != nil {
			return out
		}
		for _, w := range silent.workloads(node) {
			out = append(out, w.name())
		}
	}
}

func (w workloadOf) name() string {
	return fmt.Sprintf("%s %s/%s", w.service.Workload.Pods.Kind, w.service.Namespace, w.node.GetName())
}

// hidden says that kubectl reads workloads of the mesh in a document that are not among these.
func (i *Injector) hidden(n int, text []byte, workloads []workloadOf) error {
	var seen []string
	for _, w := range workloads {
		seen = append(seen, w.name())
	}
	for _, name := range i.kubectlWorkloads(text) {
		at := slices.Index(seen, name)
		if at < 0 {
			return fmt.Errorf("kubectl reads %s in document %d, where it stands in a form that hides it from others "+
				"(a key twice, a merge key \"<<\", a tag, or JSON behind JSON)\n"+
				"  hint: write each object plainly, and separate them by lines of \"---\"", name, n)
		}
		seen = slices.Delete(seen, at, at+1)
	}
	return nil
}

// errTwoReadings says that kubectl would read something else.
var errTwoReadings = errors.New("a form that kubectl reads in another way")

// readAlike reports as an error a place of a document that kubectl reads in another way than it is looked at here:
// what is looked for could be hidden there. Values that are not text are alike: each check takes what is not plain
// for the worst.
func readAlike(document *kyaml.Node, text []byte) error {
	data, err := sigsyaml.YAMLToJSON(text)
	if err != nil {
		return fmt.Errorf("%w: %w", errTwoReadings, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var read any
	if err := decoder.Decode(&read); err != nil {
		return fmt.Errorf("%w: %w", errTwoReadings, err)
	}
	return alike(document, read, "")
}

func alike(node *kyaml.Node, read any, path string) error {
	unlike := fmt.Errorf("%w (%s)", errTwoReadings, cmp.Or(strings.TrimPrefix(path, "."), "all of it"))
	switch node.Kind {
	case kyaml.DocumentNode:
		return alike(node.Content[0], read, path)
	case kyaml.MappingNode:
		fields, ok := read.(map[string]any)
		if !ok || len(fields) != len(node.Content)/2 {
			return unlike
		}
		for n := 0; n < len(node.Content); n += 2 {
			key := node.Content[n]
			value, ok := fields[key.Value]
			if !ok || key.Kind != kyaml.ScalarNode {
				return unlike
			}
			if err := alike(node.Content[n+1], value, path+"."+key.Value); err != nil {
				return err
			}
		}
	case kyaml.SequenceNode:
		elements, ok := read.([]any)
		if !ok || len(elements) != len(node.Content) {
			return unlike
		}
		for n, element := range node.Content {
			if err := alike(element, elements[n], fmt.Sprintf("%s[%d]", path, n)); err != nil {
				return err
			}
		}
	case kyaml.ScalarNode:
		text, isText := read.(string)
		if (read == nil) != (node.Tag == kyaml.NodeTagNull) || isText && text != node.Value {
			return unlike
		}
	default:
		return unlike
	}
	return nil
}
