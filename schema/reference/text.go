package reference

import (
	"fmt"
	"io"
	"strings"
)

// width is how wide lines of text are, in characters.
const width = 100

// Text writes what the field is; whole also what its type is, and its fields.
func (f *Field) Text(w io.Writer, whole bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", f.Path, f.Type)
	paragraph(&b, f.Doc, "  ")
	if whole {
		if f.TypeDoc != f.Doc {
			paragraph(&b, f.TypeDoc, "  ")
		}
		for _, sub := range f.Fields {
			mark := ""
			if sub.Required {
				mark = " (required)"
			}
			fmt.Fprintf(&b, "\n  %s: %s%s\n", sub.Path, sub.Type, mark)
			paragraph(&b, sub.Doc, "      ")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// paragraph writes a text in lines that begin with the indent.
func paragraph(b *strings.Builder, text, indent string) {
	line := indent
	for word := range strings.FieldsSeq(text) {
		if line != indent && len(line)+len(word) > width {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = indent
		}
		line += word + " "
	}
	if line != indent {
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}
