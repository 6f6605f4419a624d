package render_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"testing"

	yamlv3 "go.yaml.in/yaml/v3"

	"github.com/meshc/meshc/render/manifest"
)

// A part of a feature file below want/ may begin with lines "# select: PATH". It holds the values of the output that
// they select, in the places where they stand there, with the names and types of what they stand in, and nothing else.
// Without such lines it holds the whole output.
//
// A path is made of steps, joined by " > ". A step is a key of a mapping or the label of an element of a sequence,
// where "*" in a step is any text, and the step "**" any number of steps. The label of an element is its name, of
// an object of Kubernetes its kind and name, and else its number, from 0. The outermost sequence is that of the
// documents.
const selectLine = "# select: "

// selections are the paths that a part begins with, and the lines in which they stand.
func selections(part []byte) (paths [][]string, lines []byte) {
	for line := range bytes.Lines(part) {
		text, ok := bytes.CutPrefix(line, []byte(selectLine))
		if !ok {
			break
		}
		paths = append(paths, strings.Split(strings.TrimSpace(string(text)), " > "))
		lines = append(lines, line...)
	}
	return paths, lines
}

// selectFrom is what the paths select of an output. The error names the paths that select nothing.
func selectFrom(output []byte, paths [][]string) ([]byte, error) {
	docs, err := documents(output)
	if err != nil {
		return nil, err
	}
	at := make([]cursor, len(paths))
	for i, steps := range paths {
		at[i] = cursor{steps: steps, found: new(bool)}
	}
	some, _ := prune(docs, at).([]any)
	var wrong []error
	for i, c := range at {
		if !*c.found {
			wrong = append(wrong, fmt.Errorf("%q selects nothing", strings.Join(paths[i], " > ")))
		}
	}
	if wrong != nil {
		return nil, errors.Join(wrong...)
	}
	return manifest.YAML(some...)
}

// documents are those of an output.
func documents(output []byte) ([]any, error) {
	var docs []any
	for decoder := yamlv3.NewDecoder(bytes.NewReader(output)); ; {
		var doc any
		if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
			return docs, nil
		} else if err != nil {
			return nil, err
		}
		docs = append(docs, doc)
	}
}

// cursor is what is left of a path at some value. Found is set when the path ends at one.
type cursor struct {
	steps []string
	found *bool
}

// follow appends the cursors to which a step leads.
func (c cursor) follow(step string, next []cursor) []cursor {
	if len(c.steps) == 0 {
		return next
	}
	if c.steps[0] == "**" {
		return cursor{c.steps[1:], c.found}.follow(step, append(next, c))
	}
	// Stars of path.Match stop at slashes, which have no meaning here.
	slashes := strings.NewReplacer("/", "\x00")
	if ok, err := path.Match(slashes.Replace(c.steps[0]), slashes.Replace(step)); ok && err == nil {
		next = append(next, cursor{c.steps[1:], c.found})
	}
	return next
}

// prune is what the cursors select of a value, and nil when that is nothing.
func prune(value any, at []cursor) any {
	switch value := value.(type) {
	case []any:
		var some []any
		for i, element := range value {
			if inner := enter(element, label(element, i), at); inner != nil {
				some = append(some, withLabel(inner, element))
			}
		}
		if some != nil {
			return some
		}
	case map[string]any:
		some := map[string]any{}
		for key, inner := range value {
			if inner := enter(inner, key, at); inner != nil {
				some[key] = inner
			}
		}
		if len(some) > 0 {
			if name, ok := value["@type"]; ok {
				some["@type"] = name
			}
			return some
		}
	}
	return nil
}

// enter is what the cursors select of a value that a step leads to.
func enter(value any, step string, at []cursor) any {
	var next []cursor
	for _, c := range at {
		next = c.follow(step, next)
	}
	whole := false
	for _, c := range next {
		if len(c.steps) == 0 {
			*c.found, whole = true, true
		}
	}
	some := prune(value, next)
	if whole {
		return value
	}
	return some
}

func label(element any, number int) string {
	fields, _ := element.(map[string]any)
	if metadata, ok := fields["metadata"].(map[string]any); ok && fields["kind"] != nil {
		return fmt.Sprint(fields["kind"], " ", metadata["name"])
	}
	for _, key := range []string{"name", "cluster_name"} {
		if name, ok := fields[key].(string); ok {
			return name
		}
	}
	return strconv.Itoa(number)
}

// withLabel adds to what was selected of an element what its label is made of.
func withLabel(some, element any) any {
	fields, _ := element.(map[string]any)
	selected, ok := some.(map[string]any)
	if !ok {
		return some
	}
	for _, key := range []string{"name", "cluster_name"} {
		if name, ok := fields[key].(string); ok {
			selected[key] = name
		}
	}
	if metadata, ok := fields["metadata"].(map[string]any); ok && fields["kind"] != nil {
		selected["kind"] = fields["kind"]
		if _, whole := selected["metadata"]; !whole {
			selected["metadata"] = map[string]any{"name": metadata["name"]}
		}
	}
	return selected
}

// TestSelections selects from an output by keys, names, kinds, numbers and stars, and wants a path that selects
// nothing to be told.
func TestSelections(t *testing.T) {
	const output = "kind: Service\nmetadata:\n  labels:\n    app: a\n  name: a\nspec:\n  ports:\n  - port: 1\n  - port: 2\n" +
		"---\n\"@type\": x/y.Z\nname: b/c\nroutes:\n- name: d\n  timeout: 1s\n- name: e\n  timeout: 2s\n"
	for _, c := range []struct{ paths, want string }{
		{"Service a > spec > ports > 1", "kind: Service\nmetadata:\n  name: a\nspec:\n  ports:\n  - port: 2\n"},
		{"** > d", "\"@type\": x/y.Z\nname: b/c\nroutes:\n- name: d\n  timeout: 1s\n"},
		{"b* > ** > timeout\nb/c > routes > e", "\"@type\": x/y.Z\nname: b/c\nroutes:\n- name: d\n  timeout: 1s\n" +
			"- name: e\n  timeout: 2s\n"},
		{"* > metadata", "kind: Service\nmetadata:\n  labels:\n    app: a\n  name: a\n"},
		{"** > d\nb/c > routes > f", `"b/c > routes > f" selects nothing`},
		{"d", `"d" selects nothing`},
		{"[", `"[" selects nothing`},
	} {
		part := selectLine + strings.ReplaceAll(c.paths, "\n", "\n"+selectLine) + "\nold: text\n"
		paths, lines := selections([]byte(part))
		if string(lines)+"old: text\n" != part {
			t.Errorf("%s: the lines are %q", c.paths, lines)
		}
		got, err := selectFrom([]byte(output), paths)
		if err != nil {
			got = []byte(err.Error())
		}
		if string(got) != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.paths, got, c.want)
		}
	}
}
