package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/meshc/meshc/host/local"
)

// statusView shows the state of a mesh: in one place on a terminal, and else
// whenever it has changed.
type statusView struct {
	out  io.Writer
	live bool
	last string
}

func newStatusView(out io.Writer) *statusView {
	return &statusView{out: out, live: terminal(out) != nil}
}

// show writes the state if it is not what stands there.
func (v *statusView) show(s local.Status) {
	text := statusTable(s)
	if text == v.last {
		return
	}
	if v.live && v.last != "" {
		// Up to where the last one began, and clear from there (ECMA-48: CPL, ED).
		fmt.Fprintf(exact(v.out), "\x1b[%dF\x1b[J", strings.Count(v.last, "\n"))
	}
	v.last = text
	fmt.Fprint(v.out, text)
}

// interrupt is called before something else is written.
func (v *statusView) interrupt() {
	if v.last != "" {
		fmt.Fprintln(v.out)
	}
	v.last = ""
}

func statusTable(s local.Status) string {
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "PROXY\tSTATE\tENVOY ADMIN")
	for _, p := range s.Proxies {
		fmt.Fprintf(t, "%s\t%s\thttp://%s\n", p.ID, p.State, p.Admin)
	}
	_ = t.Flush() // into memory
	for _, p := range s.Proxies {
		for _, reason := range p.Reasons {
			fmt.Fprintf(&b, "%s: %s\n", p.ID, reason)
		}
	}
	if s.Failure != "" {
		fmt.Fprintf(&b, "the spec on disk is not what runs: %s\n", s.Failure)
	}
	return b.String()
}
