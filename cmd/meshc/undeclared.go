package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/serve"
)

// printUndeclared lists the calls that passed although no use declares them.
func printUndeclared(w io.Writer, r *serve.EdgeReport) error {
	printWindow(w, r)
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "CALLER\tADDRESS\tNAME\tCALLEE\tCONNECTIONS\tREQUESTS")
	for i := range r.Undeclared {
		c := &r.Undeclared[i]
		connections, requests := strconv.FormatUint(c.Connections, 10), "-"
		if c.HTTP {
			connections, requests = "-", connections
		}
		name := "-"
		if c.Name != "" {
			name = diag.Printable(c.Name)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", memberName(c.Caller, "-"),
			netip.AddrPortFrom(c.Address, c.Port), name, memberName(c.Callee, "(outside the mesh)"), connections, requests)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(r.Undeclared) > 0 {
		fmt.Fprintln(w, "\nmeshc edges --undeclared -o cue prints the lines that declare them")
	}
	printMissing(w, r)
	return nil
}

// addition is a line of CUE that declares a call, or a part of one.
type addition struct{ file, comment, line string }

// printDeclarations prints the lines of CUE that declare the calls, by the file to put them in.
func printDeclarations(w io.Writer, r *serve.EdgeReport) error {
	var all []addition
	for i := range r.Undeclared {
		for _, a := range additions(&r.Undeclared[i]) {
			if !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b addition) int { return strings.Compare(a.file, b.file) })
	file := ""
	for _, a := range all {
		if a.file != file {
			if file != "" {
				fmt.Fprintln(w)
			}
			fmt.Fprintf(w, "// %s\n", diag.Printable(a.file))
			file = a.file
		}
		if a.comment != "" {
			fmt.Fprintf(w, "// %s\n", diag.Printable(a.comment))
		}
		fmt.Fprintln(w, a.line)
	}
	return nil
}

// additions are the lines that declare a call: the use at the caller, and the rule at the callee or the external.
func additions(c *serve.UndeclaredCall) []addition {
	caller := memberName(c.Caller, "")
	kind, callee, _ := strings.Cut(c.Callee, " ")
	use := addition{file: c.CallerSource.File, line: fmt.Sprintf("services: %q: uses: %q: {}", caller, callee)}
	if c.Uses.IsValid() {
		use.comment = fmt.Sprintf("add %q to the ports of this use (%s)", c.PortName, c.Uses)
		use.line = "// " + use.line
	}
	switch {
	case kind == "service" && c.Allowed:
		return []addition{use}
	case kind == "service":
		return []addition{use, ruleFor(c, caller, callee)}
	case kind == "external":
		return []addition{use}
	}
	external := externalFor(c)
	use.line = fmt.Sprintf("services: %q: uses: %q: {}", caller, externalName(c))
	return []addition{use, {file: c.CallerSource.File, line: external}}
}

// ruleFor is the rule that lets the caller in.
func ruleFor(c *serve.UndeclaredCall, caller, callee string) addition {
	rule := fmt.Sprintf("{from: services: [%q], ports: [%q]}", caller, c.PortName)
	out := addition{file: c.CalleeSource.File, line: fmt.Sprintf("services: %q: allow: [%s]", callee, rule)}
	if c.Listed {
		out.comment = fmt.Sprintf("add to the list allow of %s (%s)", callee, c.CalleeSource)
		out.line = "// " + rule + ","
	}
	return out
}

// hostname is a name that a spec may have for an external.
var hostname = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$`)

// externalHost is what an external for the call is known by: its name, if it has one that can be written, or its
// address. Nobody has checked the name, so the reader of the proposal decides.
func externalHost(c *serve.UndeclaredCall) string {
	host := strings.ToLower(c.Host())
	if hostname.MatchString(host) && net.ParseIP(host) == nil && len(host) <= 253 {
		return host
	}
	return c.Address.String()
}

var notOfNames = regexp.MustCompile(`[^a-z0-9]+`)

// externalName is a name for an external that is known by a host, at most as long as one may be.
func externalName(c *serve.UndeclaredCall) string {
	name := strings.Trim(notOfNames.ReplaceAllString(externalHost(c), "-"), "-")
	if name[0] >= '0' && name[0] <= '9' {
		name = "ip-" + name
	}
	return strings.TrimRight(name[:min(len(name), 50)], "-")
}

// externalFor declares what is outside the mesh.
func externalFor(c *serve.UndeclaredCall) string {
	host, protocol := externalHost(c), "tcp"
	switch {
	case c.HTTP:
		protocol = "http"
	case c.Name != "" && host != c.Address.String():
		protocol = "tls"
	}
	return fmt.Sprintf("external: %q: {hosts: [%q], ports: \"port-%d\": {port: %d, protocol: %q}}", externalName(c), host,
		c.Port, c.Port, protocol)
}
