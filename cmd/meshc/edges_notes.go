package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/serve"
	"github.com/meshc/meshc/serve/telemetry"
)

// edgeNotes say which lines of the spec to add or to delete, by what is known of so long.
func edgeNotes(e *serve.Edge, known time.Duration) (notes []string) {
	name := fmt.Sprintf("%s → %s:%s", memberName(e.Caller, "a caller without a certificate"),
		memberName(e.Callee, "its own proxy"), portText(e))
	if e.State() == serve.EdgeSilent {
		notes = append(notes, fmt.Sprintf("%s: no requests for %s; if nobody needs it, delete the use at %s", name,
			shortDuration(known), e.Uses))
	}
	if e.Client != nil && e.Client.Denied > 0 {
		denied, rest := deniedNotes(name, e.Client, "request")
		notes = append(notes, denied...)
		if rest > 0 {
			notes = append(notes, fmt.Sprintf("%s: %s denied: no rule of %s lets them in; add one to its allow (%s)", name,
				diag.Count(rest, "request"), e.Caller, e.CallerSource))
		}
	}
	if e.Server == nil || e.Server.Denied == 0 {
		return notes
	}
	unit := "request"
	if e.Server.Kind == telemetry.ServerTCP {
		unit = "connection"
	}
	denied, rest := deniedNotes(name, e.Server, unit)
	notes = append(notes, denied...)
	refused, unasked := refusedNotes(name, e)
	notes = append(notes, refused...)
	rest -= min(rest, unasked)
	switch {
	case rest == 0:
	case len(e.Allow) > 0:
		places := make([]string, 0, len(e.Allow))
		for _, r := range e.Allow {
			places = append(places, fmt.Sprintf("%s (%s)", r.Source, r.Name))
		}
		notes = append(notes, fmt.Sprintf("%s: %s denied: the rules for this caller let other %ss in only: %s",
			name, diag.Count(rest, unit), unit, strings.Join(places, ", ")))
	default:
		note := fmt.Sprintf("%s: %s denied: no rule allows this caller; to let it in, add to allow of %s (%s)\n  %s",
			name, diag.Count(rest, unit), memberName(e.Callee, ""), e.CalleeSource, allowLine(e))
		if e.CallerSource.IsValid() && !e.Declared {
			note += fmt.Sprintf("\nand to uses of %s (%s)\n  %s: {}", memberName(e.Caller, ""), e.CallerSource,
				memberName(e.Callee, ""))
		}
		notes = append(notes, note)
	}
	return notes
}

// deniedNotes say which rules denied what an end tells of, and how much no rule decided.
func deniedNotes(name string, end *telemetry.End, unit string) (notes []string, rest uint64) {
	rest = end.Denied
	for _, l := range end.Lines {
		if l.Denies {
			notes = append(notes, fmt.Sprintf("%s: %s denied by the rule at %s (%s); delete it to let them in", name,
				diag.Count(l.Requests, unit), l.Source, l.Name))
			rest -= min(rest, l.Requests)
		}
	}
	return notes, rest
}

// refusedNotes say what the callee's proxy refused before it asked any rule, and how much that was.
func refusedNotes(name string, e *serve.Edge) (notes []string, n uint64) {
	whys := map[string]string{
		ir.RefusedPlaintext: fmt.Sprintf("refused that had no TLS: the caller has no proxy of the mesh, or bypasses it; "+
			"to let it in, write mtls: \"permissive\" at %s (%s) and add to its allow\n  %s", memberName(e.Callee, ""),
			e.CalleeSource, allowLine(e)),
		ir.RefusedCertificate: "refused that had no certificate, or one of no caller whom the port takes",
		ir.RefusedHandshake:   "refused whose TLS handshake failed: the mesh takes TLS 1.3 alone",
	}
	for _, f := range e.Server.Failures {
		if why := whys[f.Flags]; why != "" {
			notes = append(notes, fmt.Sprintf("%s: %s %s", name, diag.Count(f.Requests, "connection"), why))
			n += f.Requests
		}
	}
	return notes, n
}

// allowLine is the rule that lets the caller in.
func allowLine(e *serve.Edge) string {
	kind, name, member := strings.Cut(e.Caller, " ")
	from := fmt.Sprintf("identities: [%q]", e.Caller)
	switch {
	case e.Caller == "":
		from = "plaintext: true"
	case member && slices.Contains([]string{"service", "gateway"}, kind):
		from = fmt.Sprintf("%ss: [%q]", kind, name)
	}
	return fmt.Sprintf("{from: %s, ports: [%q]}", from, e.PortName)
}
