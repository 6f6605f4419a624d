package diff

import (
	"fmt"
	"io"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/source"
)

// Markdown prints the difference for a pull request.
func (d *Difference) Markdown(w io.Writer) error {
	var b strings.Builder
	if d.Empty() {
		b.WriteString("This change has no effect on the mesh.\n")
	}
	for _, kind := range Kinds() {
		var of []*Effect
		for _, e := range d.Effects {
			if e.Kind == kind {
				of = append(of, e)
			}
		}
		if len(of) == 0 {
			continue
		}
		fmt.Fprintf(&b, "### %s (%d)\n\n| what | was | is | for instance |\n|---|---|---|---|\n", kind, len(of))
		for _, e := range of {
			witness := ""
			if e.Witness != nil {
				witness = code(e.Witness.Command)
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", cell(e.subject()), cell(e.Was)+markdownPlace(e.WasBy),
				cell(e.Is)+markdownPlace(e.IsBy), witness)
		}
		b.WriteString("\n")
	}
	if !d.Empty() {
		for _, line := range d.summary() {
			b.WriteString("- " + cell(line) + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func markdownPlace(p source.Position) string {
	if !p.IsValid() {
		return ""
	}
	return "<br>" + code(p.String())
}

// cell is a text that stands for itself in a table of Markdown: what a spec says must not become a link, an
// image or a mention.
func cell(text string) string {
	return cells.Replace(diag.Printable(text))
}

var cells = strings.NewReplacer(
	"\\", "\\\\", "|", "\\|", "\n", " ", "\r", " ", "<", "&lt;", ">", "&gt;", "&", "&amp;", "`", "\\`", "[", "\\[", "]",
	"\\]", "*", "\\*", "_", "\\_",
	"@", "@&#8203;", "#", "\\#", "!", "\\!", "~", "\\~", "://", ":&#8203;//", "www.", "www&#8203;.", "WWW.",
	"WWW&#8203;.", "GH-", "GH&#8203;-",
)

// code is a text in the type of code.
func code(text string) string {
	text = strings.ReplaceAll(diag.Printable(text), "|", "\\|")
	fence := "`"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	if len(fence) > 1 {
		return fence + " " + text + " " + fence
	}
	return fence + text + fence
}
