package try

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
)

// Text prints a trial for people.
func (t *Trial) Text(w io.Writer) error {
	fmt.Fprintf(w, "%s\nfrom %s\n\n", diag.Printable(t.Request), t.From)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range t.Steps {
		fmt.Fprintf(table, "  %s\t%s\t%s\n", s.Pos, s.At, diag.Printable(s.Does))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	switch a := t.Answer; {
	case a == nil:
	case a.Dropped:
		fmt.Fprintf(w, "dropped: no datagram passes to or from %s there\n", a.By)
	case a.Status == 0:
		fmt.Fprintf(w, "closed: the proxy of %s ends the connection\n", a.By)
	case a.Location != "":
		fmt.Fprintf(w, "%d: the proxy of %s answers, location: %s\n", a.Status, a.By, a.Location)
	default:
		fmt.Fprintf(w, "%d: the proxy of %s answers\n", a.Status, a.By)
	}
	for _, r := range t.Reaches {
		fmt.Fprintf(w, "%s\n", diag.Printable(r.text()))
	}
	for _, u := range t.Undecided {
		fmt.Fprintf(w, "depends on %s\n", diag.Printable(u))
	}
	t.outcomesText(w)
	if t.Write != "" && !t.Allowed() {
		fmt.Fprintf(w, "to allow it: %s\n", diag.Printable(t.Write))
	}
	return nil
}

// maxTold is how many outcomes people are told.
const maxTold = 12

// outcomesText prints the outcomes that the rest does not tell: those of more than the weights of a route.
func (t *Trial) outcomesText(w io.Writer) {
	if !slices.ContainsFunc(t.Outcomes, func(o Outcome) bool {
		return slices.ContainsFunc(o.When, func(c Condition) bool { return c.Kind != OnSplit })
	}) {
		return
	}
	for i := range t.Outcomes {
		o := &t.Outcomes[i]
		if i == maxTold {
			fmt.Fprintf(w, "  and %d more outcomes\n", len(t.Outcomes)-i)
			return
		}
		var when []string
		for _, c := range o.When {
			when = append(when, c.On+": "+c.Is)
		}
		fmt.Fprintf(w, "  %s, when %s\n", diag.Printable(o.Text()), diag.Printable(strings.Join(when, "; ")))
	}
}

// text is a place where the request may go, in words.
func (r *Reach) text() string {
	text := fmt.Sprintf("reaches %s, port %s", r.target(), r.Port)
	if r.Service == "" && r.External == "" {
		text = "leaves undeclared"
	}
	if r.Percent < 100 {
		text = fmt.Sprintf("%.4g%% %s", r.Percent, text)
	}
	if r.Path != "" {
		text += fmt.Sprintf(", as %s%s", r.Host, r.Path)
	}
	if r.Address != "" {
		text += ", at " + r.Address
	}
	if r.Refused != 0 {
		text += fmt.Sprintf(", and is refused there with %d", r.Refused)
	}
	return text
}

// target is who takes the request there.
func (r *Reach) target() string {
	if r.Service == "" {
		return ir.ExternalRef(r.External).String()
	}
	return strings.TrimSpace(r.Service + " " + r.Version)
}
