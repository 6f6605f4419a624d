package verify

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/meshc/meshc/compiler/diag"
)

// Text prints the report for a terminal.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	for i := range r.Tests {
		t := &r.Tests[i]
		failed := false
		for _, run := range t.runs() {
			if run.Failure != "" {
				fmt.Fprintf(&b, "FAIL  %s, %s: the request %s; %s\n", diag.Printable(t.Title), run.how,
					diag.Printable(run.Outcome), run.Failure)
				failed = true
			}
		}
		if !failed && t.undecided() {
			for _, run := range t.runs() {
				if run.Undecided != "" {
					fmt.Fprintf(&b, "OPEN  %s, %s: not decided: depends on %s; the request %s\n",
						diag.Printable(t.Title), run.how, diag.Printable(run.Undecided), diag.Printable(run.Outcome))
				}
			}
		}
		if failed || t.undecided() {
			fmt.Fprintf(&b, "      %s\n      %s\n", t.Pos, diag.Printable(t.Command))
		} else {
			fmt.Fprintf(&b, "ok    %s\n", diag.Printable(t.Title))
		}
	}
	if len(r.Tests) == 0 {
		b.WriteString("the mesh has no tests: write some in tests, by their titles\n")
	}
	undecided := r.Undecided()
	fmt.Fprintf(&b, "\n%d of %d tests pass", len(r.Tests)-r.Failed()-undecided, len(r.Tests))
	if undecided > 0 {
		fmt.Fprintf(&b, ", %d are not decided", undecided)
	}
	if r.Proxies > 0 {
		fmt.Fprintf(&b, ", offline and through %d Envoys, each of which took its configuration whole", r.Proxies)
	}
	c := &r.Coverage
	fmt.Fprintf(&b, "\nthey reach %d of %d routes and %d of %d rules", c.RoutesReached, c.Routes, c.RulesReached,
		c.Rules)
	if len(c.Missed) > 0 {
		b.WriteString("; no test reaches")
	}
	b.WriteString("\n")
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, m := range c.Missed {
		fmt.Fprintf(table, "  %s\t%s of %s\t%s\n", m.Pos, m.Kind, m.Of, diag.Printable(m.Name))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// namedRun is a run and how it was done.
type namedRun struct {
	how string
	*Run
}

func (t *Test) runs() []namedRun {
	out := []namedRun{{"offline", t.Offline}}
	if t.Sent != nil {
		out = append(out, namedRun{"through Envoys", t.Sent})
	}
	return out
}

// suites is the form of JUnit's reports, as CI reads it.
type suites struct {
	XMLName xml.Name `xml:"testsuites"`
	Suites  []*suite `xml:"testsuite"`
}

type suite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []*testcase `xml:"testcase"`
	total    time.Duration
}

type testcase struct {
	Class   string   `xml:"classname,attr"`
	Name    string   `xml:"name,attr"`
	File    string   `xml:"file,attr,omitempty"`
	Line    int      `xml:"line,attr,omitempty"`
	Time    string   `xml:"time,attr"`
	Failure *failure `xml:"failure,omitempty"`
	Skipped *failure `xml:"skipped,omitempty"`
}

type failure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// JUnit writes the report as JUnit does: a suite for each way in which the tests were run. A test that is not decided
// is skipped, with a message, or failed when those must be decided.
func (r *Report) JUnit(w io.Writer) error {
	known := map[string]*suite{}
	var all suites
	for i := range r.Tests {
		t := &r.Tests[i]
		for _, run := range t.runs() {
			s := known[run.how]
			if s == nil {
				s = &suite{Name: r.Mesh + " " + run.how}
				known[run.how], all.Suites = s, append(all.Suites, s)
			}
			c := &testcase{
				Class: r.Mesh, Name: t.Title, File: diag.Printable(t.Pos.File), Line: t.Pos.Line,
				Time: seconds(run.Time),
			}
			say := func(message string) *failure {
				return &failure{message, fmt.Sprintf("the request %s; %s\n%s\n%s", run.Outcome, message, t.Pos,
					t.Command)}
			}
			undecided := "not decided: depends on " + run.Undecided
			switch {
			case run.Failure != "":
				s.Failures++
				c.Failure = say(run.Failure)
			case run.Undecided != "" && r.failUndecided:
				s.Failures++
				c.Failure = say(undecided)
			case run.Undecided != "":
				s.Skipped++
				c.Skipped = say(undecided)
			}
			s.Tests++
			s.total += run.Time
			s.Time = seconds(s.total)
			s.Cases = append(s.Cases, c)
		}
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(&all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.6f", d.Seconds()) }
