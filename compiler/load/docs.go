package load

import (
	"strings"
	"sync"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"
)

// docs are the comments of the schema, by the lines that each field spans: the
// hint for a value that the schema refuses there.
type docs map[string][]doc // by file, outer fields before inner ones

type doc struct {
	first, last int // lines
	text        string
}

var schemaDocs = sync.OnceValue(func() docs {
	d := docs{}
	files, err := parseSchemaComments()
	if err != nil {
		return d // a hint less
	}
	for _, f := range files {
		ast.Walk(f, func(n ast.Node) bool {
			field, ok := n.(*ast.Field)
			if !ok {
				return true
			}
			if text := commentText(field); text != "" {
				d[f.Filename] = append(d[f.Filename], doc{field.Pos().Line(), field.End().Line(), text})
			}
			return true
		}, nil)
	}
	return d
})

// commentAt is the comment of the innermost field of the schema at that position.
func (d docs) commentAt(pos token.Pos) string {
	if !pos.IsValid() {
		return ""
	}
	p := pos.Position()
	text := ""
	for _, doc := range d[p.Filename] {
		if doc.first <= p.Line && p.Line <= doc.last {
			text = doc.text
		}
	}
	return text
}

// field is the comment of a schema's field.
func (d docs) field(v cue.Value, name string) string {
	for _, group := range v.Doc() {
		if text := strings.TrimSpace(group.Text()); strings.HasPrefix(text, name+" ") {
			return oneLine(text)
		}
	}
	return d.commentAt(v.Pos())
}

// wanted is the comment of the schema's field that refused a value.
func (d docs) wanted(err error) string {
	for _, e := range errors.Errors(err) {
		for _, pos := range append([]token.Pos{e.Position()}, e.InputPositions()...) {
			if pos.IsValid() && fromSchema(pos.Position().Filename) {
				if text := d.commentAt(pos); text != "" {
					return text
				}
			}
		}
	}
	return ""
}

func commentText(n ast.Node) string {
	for _, group := range ast.Comments(n) {
		if group.Doc {
			return oneLine(group.Text())
		}
	}
	return ""
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
