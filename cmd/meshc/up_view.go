package main

import (
	"bytes"
	"fmt"
	"text/tabwriter"

	"github.com/meshc/meshc/host/local"
)

// statusTable is the state of a mesh on this machine.
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
