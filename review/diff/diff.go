// Package diff says what a change of a mesh does: who can newly call whom, who no longer can, which requests go
// elsewhere, what else is in force, and to which proxies that is pushed.
//
// It makes, for every sender and place that the change can be about, one request of each sort that the two meshes tell
// apart ([space]), and puts each to compiler/try with either mesh. So every effect that requests show
// has one that shows it. What requests do not show is compared field by field.
package diff

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/series"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/compiler/update"
)

// Difference is what a change does.
type Difference struct {
	// Effects are sorted, the gravest first.
	Effects []*Effect `json:"effects"`
	Proxies Proxies   `json:"proxies"`
	Update  Update    `json:"update"`
	// Series is what the metrics of the proxies cost before and after; nil where that is the same.
	Series *Series `json:"series,omitempty"`
	// Foreign are owners to whose members the change comes, though it is not in their files; see [Difference.Owned].
	Foreign []Foreign `json:"foreign,omitempty"`
	// Missed are questions with so many sorts of request that not all were tried, or with a pattern that cannot be
	// read.
	Missed []string `json:"missed,omitempty"`
}

// Series is what the metrics of the proxies cost, with one proxy of each member.
type Series struct {
	Before series.Cost `json:"before"`
	After  series.Cost `json:"after"`
}

// Empty reports whether nothing differs but where things are written.
func (d *Difference) Empty() bool {
	return len(d.Effects) == 0 && d.Proxies.untouched() && len(d.Missed) == 0
}

// Of is the difference between two meshes.
func Of(before, after *ir.Mesh) *Difference { return compareWithin(maxSteps, before, after) }

// compareWithin is Of, in so many steps.
func compareWithin(steps int, before, after *ir.Mesh) *Difference {
	before, after = ir.Alike(before, after)
	d := &differ{
		Difference: &Difference{Effects: []*Effect{}}, old: before, new: after, known: map[string]*Effect{},
		seen: map[Subject]bool{}, steps: budget{left: steps},
	}
	d.mixtures = [2]*ir.Mesh{update.WithDoors(before, after), update.WithDoors(after, before)}
	d.compareMembers()
	d.Proxies = d.proxies()
	d.settings()
	d.services()
	d.gateways()
	d.direct()
	d.datagrams()
	d.scrapes()
	d.unsure()
	d.claims()
	d.gate()
	d.restarts()
	if was, is := series.Total(before), series.Total(after); was != is {
		d.Series = &Series{was, is}
	}
	if !d.Proxies.untouched() {
		d.Update.Unstaged = update.Unstaged(before, after)
	}
	d.Update.AnyOrder = len(d.Update.Why) == 0 && len(d.Update.Unstaged) == 0
	for _, e := range d.Effects {
		slices.SortFunc(e.From, Subject.compare)
		e.From = slices.Compact(e.From)
	}
	slices.SortFunc(d.Effects, (*Effect).compare)
	slices.Sort(d.Missed)
	d.Missed = slices.Compact(d.Missed)
	return d.Difference
}

// differ is a comparison that is going on.
type differ struct {
	*Difference
	old, new *ir.Mesh
	// changed are the members that are not the same in both meshes; all is set when what holds for every
	// request is not.
	changed map[ir.Ref]bool
	all     bool
	// identities is set when the identity of some member is not the same.
	identities bool
	known      map[string]*Effect
	// mixtures are what proxies of one mesh do with calls to those of the other, and seen the places for which they do
	// otherwise than both.
	mixtures [2]*ir.Mesh
	seen     map[Subject]bool
	// steps are those that are left for all requests.
	steps budget
	what  string // that effects are about, besides all of a request
	// sorts takes the requests of spaces, in place of what happens to them; nil for the latter.
	sorts *[]try.Request
}

// compareMembers finds the members that are not the same in both.
func (d *differ) compareMembers() {
	d.changed = map[ir.Ref]bool{}
	a, b := &d.old.Settings, &d.new.Settings
	d.all = a.TrustDomain != b.TrustDomain || !ir.Same(&a.Defaults, &b.Defaults) || !ir.Same(a.JWTIssuers, b.JWTIssuers)
	d.identities = a.TrustDomain != b.TrustDomain ||
		!maps.EqualFunc(identitiesOf(d.old), identitiesOf(d.new), slices.Equal)
	compared(d.changed, ir.KindService, d.old.Services, d.new.Services, func(s *ir.Service) string { return s.Name })
	compared(d.changed, ir.KindGateway, d.old.Gateways, d.new.Gateways, func(g *ir.Gateway) string { return g.Name })
	compared(d.changed, ir.KindExternal, d.old.Externals, d.new.Externals, func(e *ir.External) string {
		return e.Name
	})
}

// compared adds the names of what is not the same in two lists that are sorted by name.
func compared[T any](changed map[ir.Ref]bool, kind ir.MemberKind, a, b []*T, name func(*T) string) {
	ir.Pairs(a, b, name, func(of string, x, y *T) {
		if x == nil || y == nil || !ir.Same(x, y) {
			changed[ir.Ref{Kind: kind, Name: of}] = true
		}
	})
}

// reachesChanged reports whether a service, or one that its routes lead to, is not the same in both meshes.
func (d *differ) reachesChanged(name string) bool {
	if d.all || d.changed[ir.ServiceRef(name)] {
		return true
	}
	s := d.new.Service(name) // it is the same in both
	if s == nil {
		return false
	}
	for i := range s.Routes {
		for _, t := range s.Routes[i].Targets() {
			if d.changed[ir.ServiceRef(t.Service)] {
				return true
			}
		}
	}
	return false
}

// about collects the conditions of both meshes for a space.
func (d *differ) about(s *space, add func(*about)) {
	s.steps = &budget{left: maxSpaceSteps, of: &d.steps}
	for _, m := range []*ir.Mesh{d.old, d.new} {
		for _, i := range m.JWTIssuers {
			if !slices.Contains(s.issuers, i.Name) {
				s.issuers = append(s.issuers, i.Name)
			}
		}
		add(&about{space: s, mesh: m, doors: []*ir.Mesh{d.old, d.new}, known: map[string]bool{}})
	}
}

// compare adds what differs between the meshes for the requests of a space. Who are those whose requests they are, and
// to is the place that they go to.
func (d *differ) compare(s *space, who []Subject, to Subject) {
	if d.sorts != nil {
		requests, whole := s.requests()
		if *d.sorts = append(*d.sorts, requests...); !whole {
			d.missed(who, to, len(requests))
		}
		return
	}
	d.eachTried(s, who, to, func(r *try.Request, a, b outcome) {
		d.mixed(r, to, a, b)
		d.comesLater(r, to, a, b)
		if kind := kindOf(a, b); kind != "" {
			d.add(d.effect(kind, who, to, a, b), r, a, b)
		}
		d.treated(r, who, to, a, b)
	})
}

// eachTried calls each with the requests of a space and their outcomes in the old mesh and the new one. When not all
// were tried, that is told, with who sends them and where to.
func (d *differ) eachTried(s *space, who []Subject, to Subject, each func(r *try.Request, a, b outcome)) {
	requests, whole := s.requests()
	tries := 0
	for i := range requests {
		if !s.try() {
			whole = false
			break
		}
		tries++
		r := &requests[i]
		each(r, tried(d.old, r), tried(d.new, r))
	}
	if !whole {
		d.missed(who, to, tries)
	}
}

// effect is one that two outcomes of a request have.
func (d *differ) effect(kind Kind, who []Subject, to Subject, a, b outcome) *Effect {
	return &Effect{
		Kind: kind, From: who, To: to, What: d.what, Was: a.text(true), Is: b.text(true), WasBy: a.decider(kind),
		IsBy: b.decider(kind),
	}
}

func (d *differ) missed(who []Subject, to Subject, n int) {
	d.Missed = append(d.Missed,
		fmt.Sprintf("there are too many sorts of request from %s to %s, or a pattern that cannot be read: %d were tried", list(who), to, n))
}

// tell adds an effect that no request shows.
func (d *differ) tell(e *Effect) { d.add(e, nil, outcome{}, outcome{}) }

// add adds an effect, if it is not known for another request or sender.
func (d *differ) add(e *Effect, r *try.Request, a, b outcome) {
	key := strings.Join([]string{string(e.Kind), e.To.String(), e.What, e.Was, e.Is, e.WasBy.String(), e.IsBy.String()}, "\x00")
	if known := d.known[key]; known != nil {
		known.From = append(known.From, e.From...)
		return
	}
	if r != nil {
		e.Witness = &Witness{Request: *r, Command: r.Command(), Was: a.text(false), Is: b.text(false)}
	}
	e.From = slices.Clone(e.From)
	d.known[key] = e
	d.Effects = append(d.Effects, e)
}
