package verify

import (
	"fmt"
	"io"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
)

// words are how verdicts begin a line.
var words = map[Verdict]string{Behaves: "ok  ", Otherwise: "FAIL", NoEffect: "NONE", NotProvoked: "skip"}

// Text prints the report for a terminal.
func (f *Failures) Text(w io.Writer) error {
	var b strings.Builder
	for _, m := range f.Modes {
		fmt.Fprintf(&b, "%s  %s %s  %s\n      ", words[m.Verdict], m.Setting, diag.Printable(m.Value), m.Pos)
		if m.Way != "" {
			fmt.Fprintf(&b, "%s: ", diag.Printable(m.Way))
		}
		fmt.Fprintf(&b, "%s\n", diag.Printable(m.Text))
	}
	if len(f.Modes) == 0 {
		b.WriteString("the mesh has no settings about failures\n")
	}
	fmt.Fprintf(&b, "\n%d of %d settings about failures behave as written", f.count(Behaves), len(f.Modes))
	for _, v := range []Verdict{Otherwise, NoEffect, NotProvoked} {
		if n := f.count(v); n > 0 {
			fmt.Fprintf(&b, ", %d %s", n, counts[v])
		}
	}
	fmt.Fprintf(&b, "; %d Envoys, %s\n", f.Proxies, rounded(f.Time))
	_, err := io.WriteString(w, b.String())
	return err
}

// counts are verdicts behind a number.
var counts = map[Verdict]string{
	Otherwise: "behave otherwise", NoEffect: "have no effect", NotProvoked: "were not provoked",
}
