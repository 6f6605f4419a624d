package diag

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"unicode/utf8"

	"github.com/fatih/color"

	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/compiler/source"
)

// printText writes findings for people:
//
//	services/cart/service.cue:6:2: error MC0201: services.cart has no field "timeot"
//	    timeot: "1s"
//	    ^
//	  also mesh.cue:5:15
//	  hint: did you mean "timeout"?
func printText(w io.Writer, found List, o PrintOptions) error {
	paint := painter(o.Color)
	lines := excerpts{files: o.Files, read: map[string][][]byte{}}
	var b bytes.Buffer
	for i, d := range found {
		if i > 0 {
			b.WriteByte('\n')
		}
		if len(d.Positions) > 0 {
			b.WriteString(paint.place(Printable(d.Positions[0].String())) + ": ")
		}
		b.WriteString(paint.severity(d.Severity, string(d.Severity)+" "+string(d.Code)) + ": " + Printable(d.Message) +
			"\n")
		if len(d.Positions) > 0 && !d.aboutSecret() {
			b.WriteString(lines.excerpt(d.Positions[0]))
		}
		for _, p := range d.Positions[min(1, len(d.Positions)):] {
			b.WriteString("  also " + Printable(p.String()) + "\n")
		}
		if d.Hint != "" {
			b.WriteString("  " + paint.hint("hint:") + " " + Printable(d.Hint) + "\n")
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// aboutSecret reports whether the line that the finding points to has a secret in it
// that may not look like one there.
func (d Diagnostic) aboutSecret() bool {
	return d.Code == SecretInSpec || strings.Contains(d.Message, secret.Redacted)
}

// painter colours parts of the text, or leaves them as they are.
type painter bool

func (p painter) paint(text string, attributes ...color.Attribute) string {
	if !p {
		return text
	}
	c := color.New(attributes...)
	c.EnableColor()
	return c.Sprint(text)
}

func (p painter) place(text string) string { return p.paint(text, color.Bold) }
func (p painter) hint(text string) string  { return p.paint(text, color.FgCyan) }

func (p painter) severity(s Severity, text string) string {
	if s == Error {
		return p.paint(text, color.FgRed, color.Bold)
	}
	return p.paint(text, color.FgYellow, color.Bold)
}

// excerpts are lines of the files that findings point to.
type excerpts struct {
	files fs.FS
	read  map[string][][]byte
}

// widest is how much of a line is shown, in characters.
const widest = 160

// excerpt is the line at the position with a caret below it; "" when it cannot be
// read.
func (e excerpts) excerpt(pos source.Position) string {
	if e.files == nil || pos.Line == 0 {
		return ""
	}
	lines, known := e.read[pos.File]
	if !known {
		data, err := fs.ReadFile(e.files, pos.File)
		if err == nil {
			lines = bytes.Split(secret.Mask(data), []byte("\n"))
		}
		e.read[pos.File] = lines
	}
	if pos.Line > len(lines) {
		return ""
	}
	line := bytes.TrimRight(lines[pos.Line-1], "\r")
	if !utf8.Valid(line) || pos.Column < 1 || pos.Column > len(line)+1 {
		return ""
	}
	before, after := string(line[:pos.Column-1]), string(line[pos.Column-1:])
	before = Printable(strings.TrimLeft(before, " \t"))
	after = Printable(after)
	if skip := utf8.RuneCountInString(before) - widest/2; skip > 0 {
		before = "…" + string([]rune(before)[skip:])
	}
	if runes := []rune(after); len(runes) > widest {
		after = string(runes[:widest]) + "…"
	}
	return fmt.Sprintf("    %s%s\n    %s^\n", before, after, strings.Repeat(" ", utf8.RuneCountInString(before)))
}
