package consul

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl"
	"github.com/hashicorp/hcl/hcl/ast"
	"github.com/hashicorp/hcl/hcl/token"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/importer"
)

// Config entries and service definitions are read as objects of the custom resources that say the same: their fields
// have the names of these, and their places are those in the file.

// maxDepth is how deep the blocks and lists of HCL may be nested.
const maxDepth = 100

// Read reads the config entries and service definitions of a file of HCL, by the end of its name, or of JSON. Ok is
// false for another file, which may have objects of Kubernetes.
func Read(file string, data []byte) (objects []*importer.Object, found diag.List, ok bool) {
	if strings.HasSuffix(file, ".hcl") {
		objects, found = readHCL(file, data)
		return objects, found, true
	}
	return readJSON(file, data)
}

// readHCL reads the config entries and the service definitions of a file of HCL.
func readHCL(file string, data []byte) ([]*importer.Object, diag.List) {
	bad := func(why string, p source.Position) diag.List {
		p.File = file
		return diag.List{diag.New(diag.BadObject, "", why, p)}
	}
	if depth(data) > maxDepth {
		return nil, bad(fmt.Sprintf("it is nested more than %d levels deep", maxDepth), source.Position{})
	}
	parsed, err := hcl.ParseBytes(data)
	if err != nil {
		return nil, bad("it is not HCL: "+err.Error(), source.Position{})
	}
	list, ok := parsed.Node.(*ast.ObjectList)
	if !ok {
		return nil, bad("it is not HCL: it has no fields", source.Position{})
	}
	return entries(file, mapping(list, token.Pos{Line: 1, Column: 1}))
}

// depth is how deep brackets are nested in a text, those in quotes too.
func depth(data []byte) int {
	now, most := 0, 0
	for _, c := range data {
		switch c {
		case '{', '[', '(':
			now++
			most = max(most, now)
		case '}', ']', ')':
			now--
		}
	}
	return most
}

// mapping is a list of fields of HCL as nodes of YAML. Blocks of one name become a list.
func mapping(list *ast.ObjectList, at token.Pos) *kyaml.Node {
	out := &kyaml.Node{Kind: kyaml.MappingNode, Tag: kyaml.NodeTagMap, Line: at.Line, Column: at.Column}
	known := map[string]*kyaml.Node{}
	for _, item := range list.Items {
		value := valueOf(item.Val)
		for i := len(item.Keys) - 1; i > 0; i-- { // block "label" {} is a block in a block
			value = &kyaml.Node{
				Kind: kyaml.MappingNode, Tag: kyaml.NodeTagMap, Line: value.Line, Column: value.Column,
				Content: []*kyaml.Node{text(keyOf(item.Keys[i]), item.Keys[i].Token.Pos), value},
			}
		}
		if len(item.Keys) == 0 {
			continue
		}
		name := keyOf(item.Keys[0])
		before := known[name]
		switch {
		case before == nil:
			known[name] = value
			out.Content = append(out.Content, text(name, item.Keys[0].Token.Pos), value)
		case before.Kind == kyaml.SequenceNode && before.Style == blocks:
			before.Content = append(before.Content, value)
		default:
			first := *before
			*before = kyaml.Node{
				Kind: kyaml.SequenceNode, Tag: kyaml.NodeTagSeq, Style: blocks, Line: first.Line, Column: first.Column,
				Content: []*kyaml.Node{&first, value},
			}
		}
	}
	return out
}

// blocks marks a list that several blocks of one name are.
const blocks = kyaml.Style(1 << 10)

func keyOf(k *ast.ObjectKey) string {
	name, _ := k.Token.Value().(string)
	return name
}

func text(value string, at token.Pos) *kyaml.Node {
	return &kyaml.Node{Kind: kyaml.ScalarNode, Tag: kyaml.NodeTagString, Value: value, Line: at.Line, Column: at.Column}
}

// valueOf is a value of HCL as a node of YAML.
func valueOf(n ast.Node) *kyaml.Node {
	switch v := n.(type) {
	case *ast.ObjectType:
		return mapping(v.List, v.Pos())
	case *ast.ListType:
		out := &kyaml.Node{
			Kind: kyaml.SequenceNode, Tag: kyaml.NodeTagSeq, Line: v.Pos().Line, Column: v.Pos().Column,
		}
		for _, item := range v.List {
			out.Content = append(out.Content, valueOf(item))
		}
		return out
	case *ast.LiteralType:
		out := text(fmt.Sprint(v.Token.Value()), v.Pos())
		switch v.Token.Type {
		case token.NUMBER:
			out.Tag = kyaml.NodeTagInt
		case token.FLOAT:
			out.Tag = kyaml.NodeTagFloat
		case token.BOOL:
			out.Tag = kyaml.NodeTagBool
		}
		return out
	}
	return text("", n.Pos())
}

// isEntries reports whether a document is config entries or service definitions, and no object of Kubernetes.
func isEntries(node *kyaml.Node) bool {
	if node.Kind == kyaml.SequenceNode {
		return len(node.Content) > 0 && isEntries(node.Content[0])
	}
	if node.Kind != kyaml.MappingNode || field(node, "apiversion") != nil {
		return false
	}
	kind := field(node, "kind")
	return kind != nil && entryKinds[kind.Value].kind != "" || kind == nil && (field(node, "service") != nil ||
		field(node, "services") != nil)
}

// readJSON reads the config entries and service definitions of a document of JSON; ok is false for another document.
func readJSON(file string, data []byte) (objects []*importer.Object, found diag.List, ok bool) {
	var document kyaml.Node
	if depth(data) > maxDepth || kyaml.Unmarshal(data, &document) != nil || len(document.Content) != 1 ||
		!isEntries(document.Content[0]) {
		return nil, nil, false
	}
	objects, found = entries(file, document.Content[0])
	return objects, found, true
}

// entries are the objects of a document of config entries or service definitions.
func entries(file string, node *kyaml.Node) (out []*importer.Object, found diag.List) {
	if node.Kind == kyaml.SequenceNode {
		for _, item := range node.Content {
			more, problems := entries(file, item)
			out = append(out, more...)
			found.Add(problems...)
		}
		return out, found
	}
	add := func(e entryKind, name string, spec *kyaml.Node) {
		o, err := object(file, e, name, spec)
		if err != nil {
			found.Add(diag.New(diag.BadObject, "", "it is not a config entry: "+err.Error(),
				source.Position{File: file, Line: spec.Line, Column: spec.Column}))
			return
		}
		out = append(out, o)
	}
	if kind := field(node, "kind"); kind != nil {
		e, known := entryKinds[kind.Value]
		if !known {
			return nil, diag.List{diag.New(diag.BadObject, "", fmt.Sprintf("there is no kind of config entry %q", kind.Value),
				source.Position{File: file, Line: kind.Line, Column: kind.Column})}
		}
		name := "global"
		if n := field(node, "name"); n != nil {
			name = n.Value
		}
		add(e, name, without(node, "kind", "name", "createindex", "modifyindex", "hash", "enterprisemeta", "status"))
		return out, found
	}
	for _, list := range []string{"service", "services"} {
		for _, one := range items(field(node, list)) {
			name := field(one, "name")
			if name == nil {
				name = field(one, "service")
			}
			if name != nil {
				add(entryKind{"ServiceDefinition", reflect.TypeFor[definition]()}, name.Value, without(one, "name"))
			}
		}
	}
	if len(out) == 0 && len(found) == 0 {
		found.Add(diag.New(diag.BadObject, "", "it has neither a config entry, by its kind, nor a service",
			source.Position{File: file, Line: max(node.Line, 1), Column: max(node.Column, 1)}))
	}
	return out, found
}

// plain is the name of a field without what its writers vary: case and underscores.
func plain(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// field is a field of a mapping; nil for none.
func field(node *kyaml.Node, name string) *kyaml.Node {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if plain(node.Content[i].Value) == name {
			return node.Content[i+1]
		}
	}
	return nil
}

// items are the nodes of a list, or one that stands alone.
func items(node *kyaml.Node) []*kyaml.Node {
	switch {
	case node == nil:
		return nil
	case node.Kind == kyaml.SequenceNode:
		return node.Content
	}
	return []*kyaml.Node{node}
}

// without is a mapping without some of its fields.
func without(node *kyaml.Node, names ...string) *kyaml.Node {
	out := *node
	out.Content = nil
	for i := 0; i+1 < len(node.Content); i += 2 {
		drop := false
		for _, name := range names {
			drop = drop || plain(node.Content[i].Value) == name
		}
		if !drop {
			out.Content = append(out.Content, node.Content[i], node.Content[i+1])
		}
	}
	return &out
}

// object is a config entry as an object of Kubernetes.
func object(file string, e entryKind, name string, spec *kyaml.Node) (*importer.Object, error) {
	spec = shaped(spec, e.spec)
	var value any
	if err := spec.Decode(&value); err != nil {
		return nil, err
	}
	data, err := json.Marshal(map[string]any{
		"apiVersion": group + "/v1alpha1", "kind": e.kind, "metadata": map[string]any{"name": name, "namespace": "default"},
		"spec": value,
	})
	if err != nil {
		return nil, err
	}
	at := token.Pos{Line: max(spec.Line, 1), Column: max(spec.Column, 1)}
	node := &kyaml.Node{
		Kind: kyaml.MappingNode, Line: at.Line, Column: at.Column, Content: []*kyaml.Node{text("spec", at), spec},
	}
	return importer.NewObject(file, node, data)
}

// shaped gives the fields of a node the names that a type has for them, and has lists where it has lists.
func shaped(node *kyaml.Node, t reflect.Type) *kyaml.Node {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	out := *node
	switch {
	case t.Kind() == reflect.Slice && node.Kind != kyaml.SequenceNode && node.Tag != kyaml.NodeTagNull:
		one := shaped(node, t.Elem())
		return &kyaml.Node{
			Kind: kyaml.SequenceNode, Tag: kyaml.NodeTagSeq, Line: node.Line, Column: node.Column,
			Content: []*kyaml.Node{one},
		}
	case t.Kind() == reflect.Slice:
		out.Content = nil
		for _, item := range node.Content {
			out.Content = append(out.Content, shaped(item, t.Elem()))
		}
		out.Style = 0
	case node.Kind == kyaml.SequenceNode && len(node.Content) == 1 &&
		(t.Kind() == reflect.Struct || t.Kind() == reflect.Map):
		return shaped(node.Content[0], t)
	case node.Kind == kyaml.MappingNode && t.Kind() == reflect.Map:
		out.Content = nil
		for i := 0; i+1 < len(node.Content); i += 2 {
			out.Content = append(out.Content, node.Content[i], shaped(node.Content[i+1], t.Elem()))
		}
	case node.Kind == kyaml.MappingNode && t.Kind() == reflect.Struct:
		out.Content = nil
		for i := 0; i+1 < len(node.Content); i += 2 {
			key, value := *node.Content[i], node.Content[i+1]
			if f, ok := named(t, plain(key.Value)); ok {
				key.Value, _, _ = strings.Cut(f.Tag.Get("json"), ",")
				value = shaped(value, f.Type)
			}
			out.Content = append(out.Content, &key, value)
		}
	case node.Kind == kyaml.ScalarNode && t.Kind() == reflect.String && node.Tag != kyaml.NodeTagNull:
		out.Tag = kyaml.NodeTagString
	case node.Kind == kyaml.ScalarNode && t.Kind() == reflect.Int && node.Tag == kyaml.NodeTagString:
		if _, err := strconv.Atoi(node.Value); err == nil {
			out.Tag = kyaml.NodeTagInt
		}
	}
	return &out
}

// named is the field of a type with a name in JSON, without regard to case.
func named(t reflect.Type, name string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			if inner, ok := named(f.Type, name); ok {
				return inner, true
			}
			continue
		}
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); strings.ToLower(tag) == name {
			return f, true
		}
	}
	return reflect.StructField{}, false
}
