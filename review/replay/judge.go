package replay

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/review/logs"
)

// Change is what would be another with a request.
type Change string

// The changes.
const (
	// Denied and Allowed are requests that would be refused and were not, and the reverse.
	Denied  Change = "denied"
	Allowed Change = "allowed"
	// Routed are requests that would go to another callee or version, or be answered by another proxy.
	Routed Change = "routed"
	// Undecided are requests of which one of these is true or not by what the log does not say.
	Undecided Change = "undecided"
	// Unknown are requests that the mesh cannot be asked for: their caller or callee is not in it.
	Unknown Change = "unknown"
	// Same are all others.
	Same Change = "same"
)

var changes = []Change{Denied, Routed, Undecided, Allowed, Unknown, Same}

// verdict is what happens to a request in place of what was logged.
type verdict struct {
	change Change
	// why is what happens, in words; then is what did.
	why, then string
	// key groups requests of which the same is to be said.
	key string
	// line is a trial of one of them.
	trial *try.Trial
}

// judge puts a request to the mesh, and to the one in which it was logged where that is known.
func (r *Replay) judge(is request, line *logs.Line) verdict {
	now := ends(r.now, line)
	if now == nil {
		return verdict{change: Unknown, why: "the mesh does not know this caller or callee", key: "unknown"}
	}
	if r.then != nil {
		if then := ends(r.then, line); then != nil {
			return compared(then, now)
		}
	}
	return against(is, line, now)
}

// end is how a request may end.
type end struct {
	try.Outcome
	trial *try.Trial
}

// id is the same for two ends that are the same to a caller.
func (e *end) id() string {
	if a := e.Answer; a != nil {
		return fmt.Sprintf("answer %s %d %d %s", a.By, a.Status, a.GRPCStatus, a.Location)
	}
	return fmt.Sprintf("reach %s|%s|%s|%s|%d", e.Reach.Service, e.Reach.External, e.Reach.Version, e.Reach.Port,
		e.Reach.Refused)
}

// place is where a request goes that is let in.
func (e *end) place() string {
	if e.Answer != nil {
		return e.id()
	}
	return strings.TrimSpace(e.Reach.Service + e.Reach.External + " " + e.Reach.Version)
}

// ends are how the request of a line may end in a mesh, but for what load, chance and services of authorization decide;
// nil when there is no such request.
func ends(m *ir.Mesh, line *logs.Line) (out []end) {
	for _, q := range requestsOf(m, line) {
		trial, err := try.Try(m, q)
		if err != nil {
			continue
		}
		outcomes, _, err := try.Outcomes(m, q)
		if err != nil {
			continue
		}
		for _, o := range outcomes {
			if o.Transient() || slices.ContainsFunc(o.When, func(c try.Condition) bool {
				return c.Refuses && (c.Kind == try.OnAuthorization || c.Kind == try.OnCertificate)
			}) {
				continue
			}
			out = append(out, end{o, trial})
		}
	}
	return out
}

// compared are two meshes' ends of one request.
func compared(then, now []end) verdict {
	was, is := idsOf(then), idsOf(now)
	switch {
	case slices.Equal(was, is):
		return verdict{change: Same}
	case allowed(then) == all && allowed(now) == none:
		return changed(Denied, now, textOf(then))
	case allowed(then) == none && allowed(now) == all:
		return changed(Allowed, now, textOf(then))
	case allowed(then) == all && allowed(now) == all:
		return changed(Routed, now, textOf(then))
	case allowed(then) == none && allowed(now) == none:
		return verdict{change: Same} // refused in another way
	}
	return undecided(now, textOf(then))
}

// against is what a mesh does with a request, against what the log says of it.
func against(is request, line *logs.Line, now []end) verdict {
	then := "was answered " + strconv.Itoa(line.Status)
	if line.Status == 0 {
		then = "passed"
	}
	if is.recorded == recordedDenied {
		then = "was denied"
	}
	switch lets := allowed(now); {
	case is.recorded == recordedPassed && lets == none:
		return changed(Denied, now, then)
	case is.recorded != recordedPassed && lets == all:
		return changed(Allowed, now, then)
	case lets == some:
		return undecided(now, then)
	case lets == none || !goesElsewhere(line, now):
		return verdict{change: Same}
	}
	return changed(Routed, now, "went to "+strings.TrimSpace(line.Callee+" "+line.Version))
}

// goesElsewhere reports whether a request of a caller's line goes to another callee or version than it did.
func goesElsewhere(line *logs.Line, now []end) bool {
	if line.Kind != clientHTTP || line.Callee == "" {
		return false
	}
	return !slices.ContainsFunc(now, func(e end) bool {
		if e.Reach == nil {
			return false
		}
		callee := e.Reach.Service + e.Reach.External
		plain, _, _ := strings.Cut(line.Callee, ".")
		return (callee == line.Callee || callee == plain) && e.Reach.Version == line.Version
	})
}

// How many of the ends let a request in.
const (
	none = iota
	some
	all
)

func allowed(list []end) int {
	lets, refuses := false, false
	for i := range list {
		if list[i].Allowed() {
			lets = true
		} else {
			refuses = true
		}
	}
	switch {
	case lets && refuses:
		return some
	case lets:
		return all
	}
	return none
}

func idsOf(list []end) []string {
	var out []string
	for i := range list {
		out = append(out, list[i].id())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// textOf are ends in words.
func textOf(list []end) string {
	var out []string
	for i := range list {
		if text := list[i].Text(); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, ", or ")
}

func changed(c Change, now []end, then string) verdict {
	v := verdict{change: c, why: textOf(now), then: then, key: strings.Join(idsOf(now), ",")}
	if len(now) > 0 {
		v.trial = now[0].trial
	}
	return v
}

// undecided is for a request of which the mesh decides by what the log does not say.
func undecided(now []end, then string) verdict {
	v := changed(Undecided, now, then)
	var on []string
	for i := range now {
		for _, c := range now[i].When {
			if !slices.Contains(on, c.On) {
				on = append(on, c.On)
			}
		}
	}
	v.why += "; it depends on " + strings.Join(on, ", and on ")
	return v
}

// requestsOf are the requests that a line may be of: one, but for gateways that take a host at several listeners.
func requestsOf(m *ir.Mesh, line *logs.Line) []try.Request {
	q := try.Request{Method: line.Method, Partial: true}
	q.IP, _ = netip.ParseAddr(line.Client) // or none
	port, err := strconv.ParseUint(line.Port, 10, 16)
	if err != nil && line.Port != "" {
		return nil
	}
	path := line.Path
	if line.Query != "" {
		path += "?" + line.Query
	}
	switch line.Kind {
	case clientHTTP, clientTCP:
		from, known := logs.Sender(m, line.Caller, line.Callee)
		if !known {
			return nil
		}
		q.From = from
		if line.Kind == clientTCP {
			q.Method, q.Scheme, q.Host, q.Port, q.Path = "CONNECT", "tcp", line.Callee, uint16(port), "/"
			return []try.Request{q}
		}
		if q.ParseURL("http://"+line.Host+path) != nil {
			return nil
		}
		if from.Kind == ir.KindGateway {
			return atListeners(m.Gateway(from.Name), line, q)
		}
		if q.Port == 0 {
			q.Authority, q.Port = q.Host, uint16(port)
		}
		return []try.Request{q}
	case serverHTTP, serverTCP:
		q.From = try.Sender{Kind: try.Outside}
		if line.Caller != "" {
			q.From = try.Sender{Kind: ir.KindIdentity, Name: line.Caller}
		}
		q.Scheme, q.Host, q.Port, q.Authority, q.Path = "http", line.Callee, uint16(port), line.Host, path
		if line.Kind == serverTCP {
			q.Method, q.Scheme, q.Authority, q.Path = "CONNECT", "tcp", "", "/"
		}
		return []try.Request{q}
	}
	return nil
}

// atListeners is a request at each listener of a gateway that takes its host.
func atListeners(g *ir.Gateway, line *logs.Line, q try.Request) (out []try.Request) {
	for i := range g.Listeners {
		l := &g.Listeners[i]
		serves := slices.ContainsFunc(l.Hosts, func(h string) bool { return ir.HostCovers(h, strings.ToLower(q.Host)) })
		if l.To != nil || !serves || l.RedirectTo != "" && line.Callee != "" {
			continue
		}
		at := q
		if at.Port, at.Authority = l.Port, line.Host; l.TLS != nil {
			at.Scheme = "https"
		}
		out = append(out, at)
	}
	return out
}

// followed reports whether the mesh can be asked for the request of a line.
func (r *Replay) followed(line *logs.Line) bool { return len(requestsOf(r.now, line)) > 0 }
