package diff

import (
	"fmt"
	"io"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/series"
	"github.com/meshc/meshc/compiler/source"
)

// maxNames is how many names of one list are written out.
const maxNames = 6

// Text prints the difference for a terminal; nothing when it is empty.
func (d *Difference) Text(w io.Writer) error {
	if d.Empty() {
		return nil
	}
	var b strings.Builder
	for _, e := range d.Effects {
		fmt.Fprintf(&b, "%s: %s\n", e.Kind, diag.Printable(e.subject()))
		fmt.Fprintf(&b, "  was: %s%s\n  is:  %s%s\n", diag.Printable(e.Was), place(e.WasBy), diag.Printable(e.Is),
			place(e.IsBy))
		if x := e.Witness; x != nil {
			fmt.Fprintf(&b, "  e.g. %s\n", diag.Printable(x.Command))
			if e.Was == e.Is { // what differs is as what it arrives
				fmt.Fprintf(&b, "       was: %s\n       is:  %s\n", diag.Printable(x.Was), diag.Printable(x.Is))
			}
		}
		b.WriteString("\n")
	}
	for _, line := range d.summary() {
		b.WriteString(diag.Printable(line) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// subject is who and what an effect is about, in words.
func (e *Effect) subject() string {
	var text string
	switch {
	case len(e.From) == 0:
		text = e.To.String()
	case e.Kind == Restart:
		text = "the " + e.To.String() + " of " + list(e.From)
	case len(e.From) == 1 && e.From[0] == e.To && e.To.Member.Kind == ir.KindGateway:
		text = outside.Other + " → " + e.To.String()
	default:
		text = list(e.From) + " → " + e.To.String()
	}
	switch {
	case e.What == Directly:
		text += ", past a proxy of the sender's own"
	case e.What != "":
		text += ": " + e.What
	}
	return text
}

// summary says to whom the change comes.
func (d *Difference) summary() []string {
	var lines []string
	p := &d.Proxies
	for _, part := range []struct {
		what  string
		names []ir.Ref
	}{{"get another configuration", p.Changed}, {"are new", p.Added}, {"go", p.Removed}} {
		if n := len(part.names); n > 0 {
			lines = append(lines, fmt.Sprintf("the proxies of %s %s: %s", diag.Count(n, "member"), part.what,
				list(part.names)))
		}
	}
	if p.Untouched > 0 {
		lines = append(lines, fmt.Sprintf("the proxies of %s stay untouched", diag.Count(p.Untouched, "member")))
	}
	if s := d.Series; s != nil {
		lines = append(lines, fmt.Sprintf("metrics: %s at most, of one proxy of each member",
			series.Change(s.Before, s.After)))
	}
	for _, t := range d.Foreign {
		lines = append(lines, t.text())
	}
	return append(append(lines, d.Update.text()), d.Missed...)
}

func list[T fmt.Stringer](names []T) string {
	texts := make([]string, 0, len(names))
	for _, n := range names {
		texts = append(texts, n.String())
	}
	return listed(texts)
}

func listed(names []string) string {
	if len(names) > maxNames {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNames], ", "), len(names)-maxNames)
	}
	return strings.Join(names, ", ")
}

func place(p source.Position) string {
	if !p.IsValid() {
		return ""
	}
	return "  (" + diag.Printable(p.String()) + ")"
}
