package logs

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// Explanation is a line in words.
type Explanation struct {
	Line *Line `json:"line"`
	// Means are its flags and details.
	Means []string `json:"means,omitempty"`
	// RouteNow is where a route of that name stands now, if there is one.
	RouteNow string `json:"routeNow,omitempty"`
	// Try is what compiler/try says of such a request now; empty where the line does not say enough.
	Try string `json:"try,omitempty"`
}

// Explain explains a line beside the mesh of now.
func Explain(m *ir.Mesh, l *Line) *Explanation {
	e := &Explanation{Line: l, Means: inWords(l)}
	if s := m.Service(l.Callee); s != nil {
		e.RouteNow = placeOf(s.Routes, l.Route)
	}
	if g := gatewayOf(m, l.Caller); g != nil && e.RouteNow == "" {
		e.RouteNow = placeOf(g.Routes, l.Route)
	}
	e.Try = tried(m, l)
	return e
}

func placeOf(routes []ir.Route, name string) string {
	for i := range routes {
		if routes[i].Name == name {
			return routes[i].Pos.String()
		}
	}
	return ""
}

func gatewayOf(m *ir.Mesh, identity string) *ir.Gateway {
	for _, g := range m.Gateways {
		if g.Identity.String() == identity {
			return g
		}
	}
	return nil
}

// Sender is the member that has an identity; of several it is the only one that may call the callee, if there is one.
func Sender(m *ir.Mesh, identity, callee string) (try.Sender, bool) {
	id, _ := spiffeid.FromString(identity) // what is not an ID is nobody's
	members := m.Members(id)
	if len(members) > 1 {
		members = slices.DeleteFunc(members, func(p ir.Peer) bool {
			caller, to := m.Service(p.Name), m.Service(callee)
			return caller == nil || to == nil ||
				!slices.ContainsFunc(caller.Uses, func(u ir.Use) bool { return !u.External && u.To == to.Name })
		})
	}
	if len(members) != 1 {
		return try.Sender{}, false
	}
	return try.Sender{Kind: members[0].Kind, Name: members[0].Name}, true
}

// tried is the end of what try says of a request as the line has it: without its query, its headers and its token.
func tried(m *ir.Mesh, l *Line) string {
	from, known := Sender(m, l.Caller, l.Callee)
	if !known || l.Method == "" || l.Host == "" || !strings.HasPrefix(l.Path, "/") {
		return ""
	}
	r := try.Request{From: from, Method: l.Method}
	if r.ParseURL("http://"+l.Host+l.Path) != nil {
		return ""
	}
	if port, err := strconv.ParseUint(l.Port, 10, 16); err == nil && from.Kind == ir.KindService {
		r.Port = uint16(port)
	}
	trial, err := try.Try(m, r)
	if err != nil {
		return ""
	}
	var text bytes.Buffer
	if trial.Text(&text) != nil {
		return ""
	}
	parts := strings.SplitN(text.String(), "\n\n", 3) // the request, the steps, and what comes of it
	return strings.TrimSpace(parts[len(parts)-1])
}

// Text prints an explanation for people. What it quotes of the log begins no line of its own.
func (e *Explanation) Text(w io.Writer) error {
	l := e.Line
	var b strings.Builder
	say := func(format string, args ...any) {
		b.WriteString(diag.Printable(fmt.Sprintf(format, args...)) + "\n")
	}
	what := cmp.Or(strings.TrimSpace(l.Method+" "+l.Host+l.Path), "a connection")
	if l.Caller != "" || l.Callee != "" {
		what += fmt.Sprintf(" from %s to %s", cmp.Or(l.Caller, "nobody"), cmp.Or(l.Callee, "nobody"))
	}
	if l.Status != 0 {
		what += fmt.Sprintf(": %d", l.Status)
	}
	say("%s %s", l.Time, what)
	for _, m := range e.Means {
		say("  %s", m)
	}
	if l.Attempts > 1 {
		say("  sent %d times", l.Attempts)
	}
	switch {
	case l.Route != "" && e.RouteNow != "" && e.RouteNow != l.Source:
		say("  route %q, then at %s, now at %s", l.Route, l.Source, e.RouteNow)
	case l.Route != "":
		say("  route %q at %s", l.Route, l.Source)
	case l.Source != "":
		say("  at %s", l.Source)
	}
	if l.Rule != "" {
		say("  rule %s", l.Rule)
	}
	indent := "  now, without its query, headers and token: "
	for line := range strings.Lines(e.Try) {
		say("%s%s", indent, strings.TrimSuffix(line, "\n"))
		indent = "    "
	}
	say("")
	_, err := io.WriteString(w, b.String())
	return err
}
