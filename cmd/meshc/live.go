package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// refresh is how often a terminal shows new numbers.
const refresh = 2 * time.Second

// liveView shows a text that changes: in one place on a terminal, and else whenever it has changed.
type liveView struct {
	out io.Writer
	// live says that the output is a terminal.
	live bool
	last string
}

func newLiveView(out io.Writer) *liveView { return &liveView{out: out, live: terminal(out) != nil} }

// show writes the text if it is not what stands there.
func (v *liveView) show(text string) error {
	if text == v.last {
		return nil
	}
	if v.live && v.last != "" { // up to where the last one began, and clear from there (ECMA-48: CPL, ED)
		fmt.Fprintf(exact(v.out), "\x1b[%dF\x1b[J", strings.Count(v.last, "\n"))
	}
	v.last = text
	_, err := io.WriteString(v.out, text)
	return err
}

// interrupt is called before something else is written.
func (v *liveView) interrupt() {
	if v.last != "" {
		fmt.Fprintln(v.out)
	}
	v.last = ""
}

// refreshed waits until it is time to show anew; false when the command is interrupted.
func refreshed(cmd *cobra.Command) bool {
	select {
	case <-cmd.Context().Done():
		return false
	case <-time.After(refresh):
		return true
	}
}
