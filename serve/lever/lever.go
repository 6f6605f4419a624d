// Package lever is what operators change of a running mesh for a time, in an incident. A lever is data: what it
// changes, for whom, until when, and who pulled it for what reason. It changes no configuration: it is a layer of the
// runtime of the proxies that it concerns, which they drop by themselves, or a rule with its end.
package lever

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/serve/heard"
)

// Kind is what a lever does.
type Kind string

// The kinds.
const (
	// Shed has callers' proxies refuse a share of the requests to a callee.
	Shed Kind = "shed"
	// Limit bounds how many requests each proxy of callers has in flight to a callee.
	Limit Kind = "limit"
	// RetriesOff has callers' proxies send nothing again.
	RetriesOff Kind = "retries-off"
	// Open has a callee's proxies let a caller in, as a rule of its own would.
	Open Kind = "open"
	// Freeze has servers serve the mesh as it is: what is changed waits until it ends. It concerns no proxy.
	Freeze Kind = "freeze"
)

// Longest is the longest time of a lever: what is needed for longer belongs into the spec.
const Longest = 24 * time.Hour

// LongestOpen is the longest time of [Open], which lets in what the spec does not: a shift.
const LongestOpen = 8 * time.Hour

// Bounds of what is kept of a lever, in bytes, and of how many there are.
const (
	maxReason = 200
	maxName   = 300
	Most      = 50
)

// Lever is one change for a time.
type Lever struct {
	// ID names it: whoever pulls it chooses, so that several servers know it by one name.
	ID   string `json:"id"`
	Kind Kind   `json:"kind"`
	// From is the caller, a service or a gateway; zero for all callers. To is the callee, a service or an external;
	// only [RetriesOff] may be for all callees. [Freeze] has neither.
	From ir.Ref `json:"from,omitzero"`
	To   ir.Ref `json:"to,omitzero"`
	// Percent is the share that [Shed] refuses, Requests is the bound of [Limit].
	Percent  uint32 `json:"percent,omitempty"`
	Requests uint32 `json:"requests,omitempty"`
	// Port, Method and Path are what [Open] lets in, as in [ir.Rule]; empty for all that the caller uses.
	Port   string `json:"port,omitempty"`
	Method string `json:"method,omitempty"`
	Path   string `json:"path,omitempty"`
	// Until is when it ends.
	Until time.Time `json:"until"`
	// By is the operator, Reason what for, and At since when; the server sets By and At.
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at,omitzero"`
}

// Over reports whether it has ended.
func (l *Lever) Over(now time.Time) bool { return !now.Before(l.Until) }

// Check reports what is wrong with a lever that is pulled now.
func (l *Lever) Check(m *ir.Mesh, now time.Time) error {
	switch {
	case l.ID == "" || len(l.ID) > 40 || heard.Line(l.ID, 40) != l.ID:
		return errors.New("a lever has an id of 1 to 40 bytes")
	case l.Reason == "" || heard.Line(l.Reason, maxReason) != l.Reason:
		return fmt.Errorf("say why, in one line of at most %d bytes (--reason)", maxReason)
	case l.Over(now) || l.Until.Sub(now) > Longest:
		return fmt.Errorf("a lever lasts at most %v, and ends in the future; what is needed for longer belongs into the spec",
			Longest)
	case m.Delivery == ir.DeliveryStatic:
		return errors.New("the proxies of this mesh read files (mesh.delivery is \"static\"): no server can tell them anything")
	}
	if err := l.amount(); err != nil {
		return err
	}
	if l.Kind == Open {
		return l.opens(m, now)
	}
	return l.names(m)
}

func (l *Lever) amount() error {
	switch l.Kind {
	case Shed:
		if l.Percent < 1 || l.Percent > 100 {
			return fmt.Errorf("%d percent cannot be refused: 1 to 100 can", l.Percent)
		}
	case Limit:
		if l.Requests < 1 || l.Requests > 1_000_000 {
			return fmt.Errorf("%d requests are no bound: 1 to 1000000 are, and shed refuses all", l.Requests)
		}
	case RetriesOff, Open, Freeze:
	default:
		return fmt.Errorf("%q is not %s, %s, %s, %s or %s", heard.Line(string(l.Kind), 20), Shed, Limit, RetriesOff, Open,
			Freeze)
	}
	return nil
}

// names wants a caller and a callee, and that one calls the other.
func (l *Lever) names(m *ir.Mesh) error {
	switch {
	case l.Kind == Freeze && (l.From != ir.Ref{} || l.To != ir.Ref{}):
		return errors.New("all changes of the mesh are frozen, and not those of one member")
	case l.Kind == Freeze:
		return nil
	case l.To == ir.Ref{} && l.Kind != RetriesOff:
		return errors.New("name the callee (--to)")
	case len(l.callers(m)) > 0:
		return nil
	case l.From != ir.Ref{} && l.To != ir.Ref{}:
		return fmt.Errorf("%s does not use %s, so nothing would change", l.From, l.To)
	}
	return errors.New("nobody makes such calls, so nothing would change")
}

// Caller is who has that name and calls others: "NAME", or "service NAME" and the like where names are alike.
func Caller(m *ir.Mesh, text string) (ir.Ref, error) {
	kind, name := named(text)
	if s := m.Service(name); s != nil && kind != ir.KindGateway {
		return ir.ServiceRef(s.Name), nil
	} else if g := m.Gateway(name); g != nil && kind != ir.KindService {
		return ir.GatewayRef(g.Name), nil
	}
	return ir.Ref{}, fmt.Errorf("the mesh has no service or gateway %q", heard.Line(text, maxName))
}

// Callee is who has that name and is called, as [Caller].
func Callee(m *ir.Mesh, text string) (ir.Ref, error) {
	kind, name := named(text)
	if s := m.Service(name); s != nil && kind != ir.KindExternal {
		return ir.ServiceRef(s.Name), nil
	} else if e := m.External(name); e != nil && kind != ir.KindService {
		return ir.ExternalRef(e.Name), nil
	}
	return ir.Ref{}, fmt.Errorf("the mesh has no service or external %q", heard.Line(text, maxName))
}

// named is a name with the kind that it is written with, if any.
func named(text string) (kind ir.MemberKind, name string) {
	if before, after, both := strings.Cut(text, " "); both {
		return ir.MemberKind(before), after
	}
	return "", text
}

// caller is a member that calls others.
type caller struct {
	ir.Ref
	uses []ir.Use
}

// callers are the members whose proxies a lever concerns, as the mesh lists them.
func (l *Lever) callers(m *ir.Mesh) (out []caller) {
	for _, s := range m.Services {
		if c := (caller{ir.ServiceRef(s.Name), s.Uses}); l.concerns(m, c) {
			out = append(out, c)
		}
	}
	for _, g := range m.Gateways {
		if c := (caller{ir.GatewayRef(g.Name), g.Uses}); l.concerns(m, c) {
			out = append(out, c)
		}
	}
	return out
}

// concerns reports whether a lever changes calls of that member.
func (l *Lever) concerns(m *ir.Mesh, c caller) bool {
	return l.Kind != Freeze && l.Kind != Open && (l.From == ir.Ref{} || l.From == c.Ref) &&
		slices.ContainsFunc(c.uses, func(u ir.Use) bool { return l.leadsTo(m, &u) })
}

// leadsTo reports whether a use is of the callee.
func (l *Lever) leadsTo(m *ir.Mesh, u *ir.Use) bool {
	switch l.To.Kind {
	case ir.KindService:
		s := m.Service(l.To.Name)
		return s != nil && !u.External && u.To == s.Name
	case ir.KindExternal:
		return u.External && u.To == l.To.Name
	}
	return true
}

// Encode and Decode are how levers are kept.
func Encode(list []Lever) ([]byte, error) { return json.MarshalIndent(list, "", "  ") }

func Decode(data []byte) (list []Lever, err error) {
	if len(data) == 0 {
		return nil, nil
	}
	err = json.Unmarshal(data, &list)
	return list, err
}
