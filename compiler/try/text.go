package try

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/meshc/meshc/compiler/diag"
)

// Text prints a trial for people.
func (t *Trial) Text(w io.Writer) error {
	fmt.Fprintf(w, "%s\nfrom %s\n\n", diag.Printable(t.Request), t.From)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range t.Steps {
		fmt.Fprintf(table, "  %s\t%s\t%s\n", diag.Printable(s.Pos.String()), s.At, diag.Printable(s.Does))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	switch a := t.Answer; {
	case a == nil:
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
	if t.Write != "" && !t.Allowed() {
		fmt.Fprintf(w, "to let it in: %s\n", diag.Printable(t.Write))
	}
	return nil
}

// text is a place where the request may go, in words.
func (r *Reach) text() string {
	to := "external " + r.External
	if r.Service != "" {
		to = strings.TrimSpace(r.Service + " " + r.Version)
	}
	text := fmt.Sprintf("reaches %s, port %s", to, r.Port)
	if r.Percent < 100 {
		text = fmt.Sprintf("%.4g%% %s", r.Percent, text)
	}
	if r.Path != "" {
		text += fmt.Sprintf(", as %s%s", r.Host, r.Path)
	}
	if r.Refused != 0 {
		text += fmt.Sprintf(", and is refused there with %d", r.Refused)
	}
	return text
}
