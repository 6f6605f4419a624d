package review

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/source"
)

// Text writes the description for a person.
func (d *Description) Text(w io.Writer) error {
	title := d.Kind + " " + d.Name
	if d.Namespace != "" {
		title += ", namespace " + d.Namespace
	}
	if p := place(d.Pos); p != "" {
		title += " (" + p + ")"
	}
	fmt.Fprintln(w, title)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row(t, "identity", d.Identity)
	if d.Sharing != nil {
		row(t, "shared with", strings.Join(d.Sharing, ", "))
	}
	row(t, "instances", d.Instances)
	row(t, "hosts", strings.Join(d.Hosts, ", "))
	row(t, "ports", strings.Join(d.Ports, ", "))
	if d.Worst != nil {
		text := fmt.Sprintf("one request can cause %d at worst: %s", d.Worst.Attempts, d.Worst.Chain)
		if d.Worst.Attempts == 1 {
			text = "one request causes 1: " + d.Worst.Chain
		}
		if d.Worst.Limit > 0 {
			text += fmt.Sprintf("; the mesh allows %d", d.Worst.Limit)
		}
		row(t, "attempts", text)
	}
	for i, c := range d.Callers {
		fmt.Fprintf(t, "%s\t%s: %s\t%s\n", first(i, "  callers"), diag.Printable(strings.Join(c.From, ", ")),
			diag.Printable(c.For), place(c.Pos))
	}
	for i, c := range d.Denied {
		fmt.Fprintf(t, "%s\t%s: %s\t%s\n", first(i, "  denied"), diag.Printable(strings.Join(c.From, ", ")),
			diag.Printable(c.For), place(c.Pos))
	}
	row(t, "asks", d.Authorizer)
	for i, s := range d.Settings {
		fmt.Fprintf(t, "%s\t%s: %s\t%s\n", first(i, "  in force"), diag.Printable(s.Name), diag.Printable(s.Value),
			s.From)
	}
	for i, r := range d.Routes {
		fmt.Fprintf(t, "%s\t%s: %s\t%s\n", first(i, "  routes"), diag.Printable(r.Name), diag.Printable(r.Does),
			place(r.Pos))
		for _, s := range r.Settings {
			fmt.Fprintf(t, "\t  %s %s\t%s\n", diag.Printable(s.Name), diag.Printable(s.Value), s.From)
		}
	}
	for i, c := range d.Calls {
		by := ""
		if c.Route != "" {
			by = " by the route " + diag.Printable(c.Route)
		}
		if c.Bind != "" {
			by += " at " + c.Bind
		}
		fmt.Fprintf(t, "%s\t%s on %s%s%s\n", first(i, "  calls"), c.To, c.Port, by, worstText(c.Worst))
		if c.Ends != "" {
			fmt.Fprintf(t, "\t  %s\n", c.Ends)
		}
		for _, s := range c.Settings {
			fmt.Fprintf(t, "\t  %s %s\t%s\n", s.Name, s.Value, s.From)
		}
		for _, r := range c.Routes {
			fmt.Fprintf(t, "\t  by the route %s%s\t%s\n", r.Name, worstText(r.Worst), place(r.Pos))
			for _, s := range r.Settings {
				fmt.Fprintf(t, "\t    %s %s\t%s\n", s.Name, s.Value, s.From)
			}
		}
	}
	return t.Flush()
}

func worstText(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

func row(w io.Writer, name, value string) {
	if value != "" {
		fmt.Fprintf(w, "  %s\t%s\n", name, value)
	}
}

// first is a heading that stands once, in front of the first of its lines.
func first(i int, heading string) string {
	if i > 0 {
		return ""
	}
	return heading
}

func place(p source.Position) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}
