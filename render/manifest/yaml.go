package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// YAML writes each value as one document of a YAML stream in block style, with
// the keys of every mapping sorted and "---" between documents. A value is
// anything that [json.Marshal] takes, and its YAML is what its JSON says: the
// json tags of a struct hold. A string that some reader of YAML 1.1 or 1.2 could
// take for something else is quoted.
//
// It takes the way of sigs.k8s.io/yaml, from JSON to YAML, without the two
// generic trees in between, which cost ten times as much.
func YAML(docs ...any) ([]byte, error) {
	w := writer{}
	for i, doc := range docs {
		if i > 0 {
			w.out = append(w.out, "---\n"...)
		}
		if err := w.document(doc); err != nil {
			return nil, fmt.Errorf("document %d: %w", i+1, err)
		}
	}
	return w.out, nil
}

// Object is a document that is a Kubernetes object, without its status: that is
// the cluster's to write, and the types of k8s.io/api put it out even when empty.
func Object(v any) any { return object{v} }

type object struct{ value any }

// writer turns JSON into YAML.
type writer struct {
	json bytes.Buffer
	src  []byte
	// nodes are the JSON values in the order of the text; see [node].
	nodes []node
	// entries is a stack: those of each mapping that is being written.
	entries []entry
	// omit is a key of the outermost mapping that is left out.
	omit string
	out  []byte
}

// node is a value of src[start:end]. The values inside it follow it, up to the
// node numbered next; in an object keys and values take turns.
type node struct {
	start, end, next int
}

// entry is a key of a mapping and the number of its value.
type entry struct {
	key   string
	value int
}

// place is what stands before a value on its line.
type place int

const (
	atTop place = iota
	afterKey
	afterDash
)

func (w *writer) document(doc any) error {
	w.json.Reset()
	w.omit = ""
	if o, ok := doc.(object); ok {
		doc, w.omit = o.value, "status"
	}
	e := json.NewEncoder(&w.json)
	e.SetEscapeHTML(false)
	if err := e.Encode(doc); err != nil {
		return err
	}
	// The encoder has checked and compacted even what came as json.RawMessage.
	w.src, w.nodes = w.json.Bytes(), w.nodes[:0]
	w.scan(0)
	w.value(0, 0, atTop)
	return nil
}

// scan makes the nodes of the value at src[i] and returns where it ends.
func (w *writer) scan(i int) int {
	n := len(w.nodes)
	w.nodes = append(w.nodes, node{start: i})
	switch w.src[i] {
	case '{', '[':
		i++
		for w.src[i] != '}' && w.src[i] != ']' {
			i = w.scan(i)
			if w.src[i] == ',' || w.src[i] == ':' {
				i++
			}
		}
		i++
	case '"':
		for i++; w.src[i] != '"'; i++ {
			if w.src[i] == '\\' {
				i++
			}
		}
		i++
	default:
		for !strings.ContainsRune(",:]}\n", rune(w.src[i])) {
			i++
		}
	}
	w.nodes[n].end, w.nodes[n].next = i, len(w.nodes)
	return i
}

// value writes a value whose mapping or sequence is indented by that much.
func (w *writer) value(n, indent int, at place) {
	v := w.nodes[n]
	empty := v.next == n+1 // a scalar is empty too
	switch c := w.src[v.start]; {
	case (c == '{' || c == '[') && !empty:
		inline := at != afterKey
		switch at {
		case afterKey:
			w.out = append(w.out, '\n')
		case afterDash:
			w.out = append(w.out, ' ')
		}
		if c == '{' {
			if at != atTop {
				indent += 2
			}
			w.mapping(n, indent, inline)
			return
		}
		if at == afterDash {
			indent += 2
		}
		w.sequence(n, indent, inline)
	default:
		if at != atTop {
			w.out = append(w.out, ' ')
		}
		switch c {
		case '"':
			w.out = appendString(w.out, w.text(n), indent+2)
		case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			w.out = appendNumber(w.out, w.src[v.start:v.end])
		default: // null, true, false, {} and [] are the same in YAML
			w.out = append(w.out, w.src[v.start:v.end]...)
		}
		w.out = append(w.out, '\n')
	}
}

func (w *writer) mapping(n, indent int, inline bool) {
	base := len(w.entries)
	for i := n + 1; i < w.nodes[n].next; i = w.nodes[i+1].next {
		key := w.text(i)
		if n == 0 && w.omit != "" && key == w.omit {
			continue
		}
		w.entries = append(w.entries, entry{key, i + 1})
	}
	slices.SortStableFunc(w.entries[base:], func(a, b entry) int { return strings.Compare(a.key, b.key) })
	for i, end := base, len(w.entries); i < end; i++ {
		e := w.entries[i]
		if i+1 < end && w.entries[i+1].key == e.key {
			continue // as in JSON the last one holds
		}
		if !inline {
			w.indent(indent)
		}
		inline = false
		w.key(e.key, indent)
		w.value(e.value, indent, afterKey)
	}
	w.entries = w.entries[:base]
}

// longestKey is how many bytes a key on the line of its value may have. A reader
// looks 1024 characters ahead for the colon (YAML 1.2.2, 8.2.2), and an escaped
// byte is at most five.
const longestKey = 200

func (w *writer) key(key string, indent int) {
	if len(key) <= longestKey {
		w.out = append(appendLine(w.out, key), ':')
		return
	}
	w.out = append(appendLine(append(w.out, "? "...), key), '\n')
	w.indent(indent)
	w.out = append(w.out, ':')
}

func (w *writer) sequence(n, indent int, inline bool) {
	for i := n + 1; i < w.nodes[n].next; i = w.nodes[i].next {
		if !inline {
			w.indent(indent)
		}
		inline = false
		w.out = append(w.out, '-')
		w.value(i, indent, afterDash)
	}
}

func (w *writer) indent(n int) {
	for range n {
		w.out = append(w.out, ' ')
	}
}

// text is the string that a node says.
func (w *writer) text(n int) string {
	raw := w.src[w.nodes[n].start+1 : w.nodes[n].end-1]
	if bytes.IndexByte(raw, '\\') < 0 {
		return strings.ToValidUTF8(string(raw), "\uFFFD")
	}
	return unescape(raw)
}
