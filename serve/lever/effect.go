package lever

import (
	"fmt"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

// String says what a lever does, in one line.
func (l *Lever) String() string {
	if l.Kind == Freeze {
		return "no change of the mesh is taken"
	} else if l.Kind == Open {
		return fmt.Sprintf("%s lets %s in: %s", l.To, l.From, l.requests())
	}
	who, whom := "every caller", "every callee"
	if l.From != (ir.Ref{}) {
		who = l.From.String()
	}
	if l.To != (ir.Ref{}) {
		whom = l.To.String()
	}
	switch l.Kind {
	case Shed:
		return fmt.Sprintf("%d %% of the requests of %s to %s are refused", l.Percent, who, whom)
	case Limit:
		return fmt.Sprintf("each proxy of %s has at most %d requests in flight to %s", who, l.Requests, whom)
	}
	return fmt.Sprintf("failed requests of %s to %s are not sent again", who, whom)
}

// Line is [Lever.String], with when it ends, whose it is, and what for.
func (l *Lever) Line() string {
	return fmt.Sprintf("%s: %s, until %s (%s: %s)", l.ID, l, l.Until.UTC().Format(time.RFC3339), l.By, l.Reason)
}

// Effects are what a lever changes, a line for each caller.
func (l *Lever) Effects(m *ir.Mesh) (out []string) {
	if l.Kind == Freeze {
		return []string{"the mesh stays as it is served: what is changed meanwhile is taken when this ends; instances, " +
			"certificates, revocations and other levers go on"}
	}
	if l.Kind == Open {
		return l.opened(m)
	}
	for _, c := range l.callers(m) {
		out = append(out, l.effect(m, c))
	}
	return out
}

func (l *Lever) effect(m *ir.Mesh, c caller) string {
	if l.To == (ir.Ref{}) {
		return fmt.Sprintf("%s: its proxies send no failed request again, to nobody", c.Ref)
	}
	http, tcp := protocols(m, l.To.Name, l.To.Kind == ir.KindExternal)
	var out []string
	switch l.Kind {
	case Shed:
		if http {
			out = append(out, fmt.Sprintf("its proxies answer 503 to %d %% of the requests to %s", l.Percent, l.To))
		}
		if tcp && l.Percent == 100 {
			out = append(out, fmt.Sprintf("its proxies close new connections below HTTP to %s; those that are open stay", l.To))
		} else if tcp {
			out = append(out, fmt.Sprintf("connections below HTTP to %s stay as they are: only 100 %% can be refused", l.To))
		}
	case Limit:
		if http {
			out = append(out, fmt.Sprintf("each of its proxies has at most %d requests in flight to %s, and answers 503 to more",
				l.Requests, l.To))
		}
		if tcp {
			out = append(out, fmt.Sprintf("each of its proxies has at most %d connections below HTTP to %s, and closes more",
				l.Requests, l.To))
		}
	case RetriesOff:
		if http {
			out = append(out, fmt.Sprintf("its proxies send no failed request to %s again, nor one that was refused unread", l.To))
		} else {
			out = append(out, fmt.Sprintf("nothing changes: below HTTP nothing is sent to %s again anyway", l.To))
		}
	}
	return c.Ref.String() + ": " + strings.Join(out, "; ")
}

// protocols reports whether a callee has ports of HTTP, and below.
func protocols(m *ir.Mesh, callee string, external bool) (http, tcp bool) {
	var ports []ir.Port
	if s := m.Service(callee); !external && s != nil {
		ports = s.Ports
	} else if e := m.External(callee); external && e != nil {
		ports = e.Ports
	}
	for i := range ports {
		http = http || ports[i].Protocol.IsHTTP()
		tcp = tcp || !ports[i].Protocol.IsHTTP()
	}
	return http, tcp
}

// Permanent is the CUE that would say the same for good.
func (l *Lever) Permanent(m *ir.Mesh) string {
	if l.Kind == Open {
		return l.permanentRule(m)
	}
	var out []string
	for _, c := range l.callers(m) {
		for i := range c.uses {
			u := &c.uses[i]
			if http, tcp := protocols(m, u.To, u.External); l.leadsTo(m, u) && (http || l.Kind != RetriesOff) {
				out = append(out, l.permanent(c, u, http, tcp))
			}
		}
	}
	return strings.Join(out, "\n")
}

func (l *Lever) permanent(c caller, u *ir.Use, http, tcp bool) string {
	use := fmt.Sprintf("%ss: %q: uses: %q", c.Kind, c.Name, u.To)
	switch {
	case l.Kind == Limit:
		var bounds []string
		if tcp {
			bounds = append(bounds, fmt.Sprintf("max: %d", l.Requests))
		}
		if http {
			bounds = append(bounds, fmt.Sprintf("maxRequests: %d", l.Requests))
		}
		return fmt.Sprintf("%s: connections: {%s}", use, strings.Join(bounds, ", "))
	case l.Kind == RetriesOff:
		return use + ": retries: attempts: 0"
	case l.Percent < 100:
		return "// A spec refuses no share of one caller's requests. A bound is nearest to it:\n// " + use +
			": connections: maxRequests: 10"
	case u.External:
		return "// delete " + use
	}
	return fmt.Sprintf("// delete %s, and %s from services: %q: allow", use, c.Ref, u.To)
}
