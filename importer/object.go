package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
	"sigs.k8s.io/yaml"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/source"
)

// Object is a Kubernetes object in a file.
type Object struct {
	metav1.TypeMeta
	Metadata metav1.ObjectMeta `json:"metadata"`
	file     string
	node     *kyaml.Node
	fields   map[string]json.RawMessage
	// children are the values of a node's large mappings by name, made when one is asked for.
	children map[*kyaml.Node]map[string]*kyaml.Node
}

// Group returns the API group of the object; empty for the core group.
func (o *Object) Group() string {
	if group, _, ok := strings.Cut(o.APIVersion, "/"); ok {
		return group
	}
	return ""
}

// Version returns the API version of the object, without its group.
func (o *Object) Version() string { return o.APIVersion[strings.LastIndex(o.APIVersion, "/")+1:] }

// As is the object in another API version, which has the same fields.
func (o *Object) As(apiVersion string) *Object {
	out := *o
	out.APIVersion = apiVersion
	return &out
}

// String returns the kind, namespace and name, for example "VirtualService shop/cart".
func (o *Object) String() string {
	return o.Kind + " " + o.Metadata.Namespace + "/" + o.Metadata.Name
}

// Position returns the position of the field at the path. If the path does not exist, it is the position of the
// nearest part above it.
func (o *Object) Position(path ...string) source.Position {
	node := o.node
	for _, name := range path {
		next := o.child(node, name)
		if next == nil {
			break
		}
		node = next
	}
	return source.Position{File: o.file, Line: node.Line, Column: node.Column}
}

// child is the function of this name, which remembers the names of a large mapping.
func (o *Object) child(node *kyaml.Node, name string) *kyaml.Node {
	if node.Kind != kyaml.MappingNode || len(node.Content) < largeMapping {
		return child(node, name)
	}
	known := o.children[node]
	if known == nil {
		if o.children == nil {
			o.children = map[*kyaml.Node]map[string]*kyaml.Node{}
		}
		known = make(map[string]*kyaml.Node, len(node.Content)/2)
		for i := 0; i+1 < len(node.Content); i += 2 {
			if key := node.Content[i].Value; known[key] == nil {
				known[key] = node.Content[i+1]
			}
		}
		o.children[node] = known
	}
	return known[name]
}

const (
	// largeMapping is how many nodes a mapping has that is worth an index.
	largeMapping = 64
	// maxDepth is how deep the nodes of an object may be nested. The schemas of CustomResourceDefinitions come to some
	// tens.
	maxDepth = 200
)

// isDeep reports whether nodes are nested more deeply than so many levels.
func isDeep(node *kyaml.Node, levels int) bool {
	return levels == 0 || slices.ContainsFunc(node.Content, func(n *kyaml.Node) bool { return isDeep(n, levels-1) })
}

func child(node *kyaml.Node, name string) *kyaml.Node {
	switch node.Kind {
	case kyaml.AliasNode:
		return child(node.Alias, name)
	case kyaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == name {
				return node.Content[i+1]
			}
		}
	case kyaml.SequenceNode:
		if i, err := strconv.Atoi(name); err == nil && i < len(node.Content) {
			return node.Content[i]
		}
	}
	return nil
}

// field is a field of the object as JSON; an empty object when it is not there.
func (o *Object) field(name string) []byte {
	if data := o.fields[name]; data != nil && string(data) != "null" {
		return data
	}
	return []byte("{}")
}

// Read reads objects from a stream of YAML documents. Objects that name no namespace get the given one. A document
// that is not a valid object is a finding.
func Read(file string, stream []byte, namespace string) ([]*Object, diag.List) {
	var out []*Object
	var found diag.List
	decoder := kyaml.NewDecoder(bytes.NewReader(stream))
	for {
		var document kyaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return out, found
		}
		if err != nil {
			found.Add(diag.New(diag.BadObject, "", "it is not YAML: "+strings.TrimPrefix(err.Error(), "yaml: "),
				source.Position{File: file}))
			return out, found
		}
		objects, problems := read(file, &document, namespace)
		out = append(out, objects...)
		found.Add(problems...)
	}
}

// read is a document's object, or those of a list.
func read(file string, document *kyaml.Node, namespace string) ([]*Object, diag.List) {
	node := kyaml.NewRNode(document)
	if node.IsNilOrEmpty() {
		return nil, nil
	}
	bad := func(why string) diag.List {
		return diag.List{diag.New(diag.BadObject, "", "it is not a Kubernetes object: "+why,
			source.Position{File: file, Line: node.YNode().Line, Column: node.YNode().Column})}
	}
	if node.YNode().Kind != kyaml.MappingNode {
		return nil, bad("it has no fields")
	}
	if isDeep(node.YNode(), maxDepth) {
		return nil, bad(fmt.Sprintf("it is nested more than %d levels deep", maxDepth))
	}
	text, err := node.String()
	if err != nil {
		return nil, bad(reason(err))
	}
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return nil, bad(reason(err))
	}
	return readObject(file, node.YNode(), data, namespace)
}

// NewObject is an object of the given JSON, whose fields have their places in a node.
func NewObject(file string, node *kyaml.Node, data []byte) (*Object, error) {
	objects, found := readObject(file, node, data, "")
	if len(found) > 0 {
		return nil, errors.New(found[0].Message)
	}
	return objects[0], nil
}

func readObject(file string, node *kyaml.Node, data []byte, namespace string) ([]*Object, diag.List) {
	o := &Object{file: file, node: node}
	bad := func(why string) diag.List { return diag.List{diag.New(diag.BadObject, "", why, o.Position())} }
	err := kjson.UnmarshalCaseSensitivePreserveInts(data, o)
	if err == nil {
		err = json.Unmarshal(data, &o.fields)
	}
	switch {
	case err != nil:
		return nil, bad("it is not a Kubernetes object: " + reason(err))
	case o.Kind == "" || o.APIVersion == "":
		return nil, bad("it is not a Kubernetes object: it has no kind or no apiVersion")
	case strings.HasSuffix(o.Kind, "List"):
		return readList(o, namespace)
	case o.Metadata.Name == "":
		return nil, bad(fmt.Sprintf("the %s has no name", o.Kind))
	}
	if o.Metadata.Namespace == "" {
		o.Metadata.Namespace = namespace
	}
	return []*Object{o}, nil
}

func readList(list *Object, namespace string) ([]*Object, diag.List) {
	var items []json.RawMessage
	if raw := list.fields["items"]; raw != nil {
		if err := json.Unmarshal(raw, &items); err != nil {
			return nil, diag.List{diag.New(diag.BadObject, "", "the items of the list are no list",
				list.Position("items"))}
		}
	}
	var out []*Object
	var found diag.List
	for i, item := range items {
		node := list.node
		if at := child(list.node, "items"); at != nil {
			if at = child(at, strconv.Itoa(i)); at != nil {
				node = at
			}
		}
		objects, problems := readObject(list.file, node, item, namespace)
		out = append(out, objects...)
		found.Add(problems...)
	}
	return out, found
}

// reason is what is wrong with a value, without the Go types that it did not fit.
func reason(err error) string {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		field := strings.TrimPrefix(kind.Field, "TypeMeta.")
		if field == "" {
			return fmt.Sprintf("it has %s %s where something else belongs", article(kind.Value), kind.Value)
		}
		return fmt.Sprintf("%s is %s %s", field, article(kind.Value), kind.Value)
	}
	text := err.Error()
	for _, prefix := range []string{"json: ", "proto: ", "yaml: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}

func article(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an"
	}
	return "a"
}

// Of returns the objects of these kinds in a group, in the order in which they were read.
func Of(objects []*Object, group string, kinds ...string) []*Object {
	var out []*Object
	for _, o := range objects {
		if o.Group() == group && slices.Contains(kinds, o.Kind) {
			out = append(out, o)
		}
	}
	return out
}
