package doctor

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/diag"
)

// Text prints the report for people: one page.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", r.Verdict.Text)
	fmt.Fprintf(&b, "  %s, %s", r.Verdict.Cause, r.Verdict.Subject)
	if r.Verdict.Position != "" {
		fmt.Fprintf(&b, ", at %s", r.Verdict.Position)
	}
	if !r.Good() {
		fmt.Fprintf(&b, ", since %s", r.Since.Format(time.TimeOnly))
	}
	b.WriteByte('\n')
	if r.Verdict.Commit != "" {
		fmt.Fprintf(&b, "  commit %s\n", r.Verdict.Commit)
	}
	if len(r.Verdict.Owners) > 0 {
		fmt.Fprintf(&b, "  owners %s\n", strings.Join(r.Verdict.Owners, ", "))
	}
	section := func(title string, lines []string) {
		if len(lines) == 0 {
			return
		}
		fmt.Fprintf(&b, "\n%s\n", title)
		for _, l := range lines {
			fmt.Fprintf(&b, "  %s\n", l)
		}
	}
	var evidence []string
	for _, e := range r.Evidence {
		evidence = append(evidence, fmt.Sprintf("%s  (%s)", e.Text, e.Command))
	}
	section("evidence", evidence)
	section("fails on", r.Blast.Edges)
	section("changes", r.Changes)
	if !r.Good() {
		fmt.Fprintf(&b, "\nnext: %s\n", r.Next)
	}
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(w, diag.Printable(strings.TrimSuffix(line, "\n"))); err != nil {
			return err
		}
	}
	return nil
}
