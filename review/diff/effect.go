package diff

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/try"
)

// Kind is what sort of effect a change has.
type Kind string

// The kinds of effect, the gravest first.
const (
	NewlyAllowed Kind = "newly-allowed" // a request is let in that was not
	NewlyDenied  Kind = "newly-denied"  // one is no longer let in
	Rerouted     Kind = "rerouted"      // one goes elsewhere, in other shares or as another one
	Answered     Kind = "answered"      // a proxy answers something else by itself
	Timing       Kind = "timing"        // how long is waited, how often is tried, how many connections may be
	Handled      Kind = "handled"       // what else is done with requests on the way
	Identity     Kind = "identity"      // who somebody is, and how that is certified
	Protection   Kind = "protection"    // who may read, change or answer what is sent: TLS, roots, ways out of the mesh and round proxies
	Gate         Kind = "gate"          // the rules by which changes are checked: owners, grants, silenced warnings, tests, limits
	Deployment   Kind = "deployment"    // what is run, and from where it is applied: images, Flux, delivery
	Restart      Kind = "restart"       // pods are replaced by new ones
	Member       Kind = "member"        // a service, gateway or external comes or goes
	Setting      Kind = "setting"       // anything else that is configured
)

// Kinds are all of them, the gravest first.
func Kinds() []Kind {
	return []Kind{
		NewlyAllowed, NewlyDenied, Rerouted, Answered, Timing, Handled, Identity, Protection, Gate,
		Deployment, Restart, Member, Setting,
	}
}

// Directly is said of requests that come to a service past a proxy of their sender's own.
const Directly = "directly"

// Effect is something that a change does.
type Effect struct {
	Kind Kind `json:"kind"`
	// From are those whose requests it is about; sorted.
	From []Subject `json:"from,omitempty"`
	// To is where they go, or what the setting is of.
	To Subject `json:"to"`
	// What it is about: the name of a setting, or empty for all of the request.
	What string `json:"what,omitempty"`
	// Was and Is are before and after, in words.
	Was string `json:"was"`
	Is  string `json:"is"`
	// Witness is a request for which it is so; nil where requests show nothing.
	Witness *Witness `json:"witness,omitempty"`
	// WasBy and IsBy are the lines that decided; of the old mesh, and of the new one.
	WasBy source.Position `json:"wasBy,omitzero"`
	IsBy  source.Position `json:"isBy,omitzero"`
}

// Witness is a request whose answer differs.
type Witness struct {
	Request try.Request `json:"-"`
	// Command asks meshc for its way through one of the meshes.
	Command string `json:"command"`
	// Was and Is are what happens to it in each.
	Was string `json:"was"`
	Is  string `json:"is"`
}

// outcome is what happens to a request, as far as it is compared.
type outcome struct {
	trial *try.Trial // nil when it cannot be sent
	why   string     // then
}

func tried(m *ir.Mesh, r *try.Request) outcome {
	t, err := try.Try(m, *r)
	if err != nil {
		return outcome{why: err.Error()}
	}
	return outcome{trial: t}
}

// class is the sort of an outcome.
type class int

const (
	refused  class = iota // by a proxy, or there is nobody to send or to take it
	answered              // by a proxy, with what is not an error
	reaches               // an application, or what is outside
)

func (o outcome) class() class {
	if o.trial == nil {
		return refused
	}
	if a := o.trial.Answer; a != nil {
		if a.Status == 0 || a.Status >= 400 {
			return refused
		}
		return answered
	}
	for _, r := range o.trial.Reaches {
		if r.Refused == 0 {
			return reaches
		}
	}
	return refused
}

// text is the outcome in words; abstract leaves the paths out, so that it is the same for many requests.
func (o outcome) text(abstract bool) string {
	if o.trial == nil {
		return "cannot be sent"
	}
	t := *o.trial
	if abstract {
		t.Reaches = slices.Clone(t.Reaches)
		for i := range t.Reaches {
			t.Reaches[i].Host, t.Reaches[i].Path = "", ""
		}
		if t.Answer != nil && t.Answer.Location != "" {
			return fmt.Sprintf("is redirected with %d by the proxy of %s", t.Answer.Status, t.Answer.By)
		}
	}
	text := t.Outcome()
	if text == "" {
		text = "is let in"
	}
	if len(t.Undecided) > 0 {
		text += ", depending on " + strings.Join(t.Undecided, ", and on ")
	}
	return text
}

// kindOf is how two outcomes of a request differ; "" when they do not.
func kindOf(a, b outcome) Kind {
	was, is := a.class(), b.class()
	switch {
	case was != reaches && is == reaches && (was == refused || a.trial.Answer.Location != ""):
		return NewlyAllowed // what was only sent elsewhere gets in
	case was == reaches && is == refused:
		return NewlyDenied
	case a.trial == nil && b.trial == nil:
		return ""
	case was == reaches && is == reaches:
		more, less := a.guards(b), b.guards(a)
		switch {
		case more || entered(b, a):
			return NewlyAllowed
		case less || entered(a, b):
			return NewlyDenied
		case a.like(b):
			return ""
		}
		return Rerouted
	case was == reaches || is == reaches:
		return Rerouted
	case a.trial == nil || b.trial == nil || a.like(b):
		return "" // it is not let in, whether it can be sent or not
	}
	return Answered
}

// guards reports whether a asks for something, before it lets a request in, that b does not ask for.
func (o outcome) guards(p outcome) bool {
	return slices.ContainsFunc(o.trial.Undecided, func(u string) bool {
		return try.IsGuard(u) &&
			!slices.ContainsFunc(p.trial.Undecided,
				func(v string) bool { return names.ReplaceAllString(u, "") == names.ReplaceAllString(v, "") })
	})
}

// entered reports whether a lets in, where it goes as in b, what b refuses.
func entered(a, b outcome) bool {
	is, was := a.trial.Reaches, b.trial.Reaches
	if len(is) != len(was) {
		return false
	}
	more := false
	for i := range is {
		x, y := is[i], was[i]
		more = more || x.Refused == 0 && y.Refused != 0
		if x.Refused != 0 && y.Refused == 0 {
			return false
		}
		x.Refused, y.Refused = 0, 0
		if x != y {
			return false
		}
	}
	return more
}

// like reports whether the same happens to a request. What else it depends on are the routes' own bounds and faults,
// which are compared for themselves.
func (o outcome) like(p outcome) bool {
	a, b := o.trial, p.trial
	if (a.Answer == nil) != (b.Answer == nil) || a.Answer != nil && *a.Answer != *b.Answer {
		return false
	}
	return slices.Equal(a.Reaches, b.Reaches)
}

// names are those of rules and routes, which make no difference.
var names = regexp.MustCompile(`"[^"]*"`)

// decider is the line that decided an outcome: of a request that goes elsewhere its route, else the last step.
func (o outcome) decider(kind Kind) source.Position {
	if o.trial == nil {
		return source.Position{}
	}
	if n := len(o.trial.Routes); n > 0 && kind == Rerouted && o.class() != refused {
		return o.trial.Routes[n-1].Pos
	}
	for _, s := range slices.Backward(o.trial.Steps) {
		if s.Pos.IsValid() && !s.Timing {
			return s.Pos
		}
	}
	return source.Position{}
}

// compare orders effects: the gravest first, then by what they are about.
func (e *Effect) compare(f *Effect) int {
	kinds := Kinds()
	return cmp.Or(
		cmp.Compare(slices.Index(kinds, e.Kind), slices.Index(kinds, f.Kind)), e.To.compare(f.To),
		cmp.Compare(e.What, f.What),
		slices.CompareFunc(e.From, f.From, Subject.compare), cmp.Compare(e.Was, f.Was), cmp.Compare(e.Is, f.Is),
		e.WasBy.Compare(f.WasBy), e.IsBy.Compare(f.IsBy),
	)
}
