package diff

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// direct compares whom services let in, whatever way they come: members by their identities, past proxies of their
// own, others whose identities rules tell apart, and somebody without an identity. What a member's request by its own
// proxy shows as well is not told again.
func (d *differ) direct() {
	d.what = Directly
	ir.Pairs(d.old.Services, d.new.Services, func(s *ir.Service) string { return s.Name },
		func(name string, a, b *ir.Service) {
			if !d.changed[ir.ServiceRef(name)] && !d.identities {
				return
			}
			numbers := map[uint16]bool{}
			for _, s := range []*ir.Service{a, b} {
				for i := 0; s != nil && i < len(s.Ports); i++ {
					numbers[s.Ports[i].Number] = true
				}
			}
			callers := d.callers(a, b)
			for _, number := range slices.Sorted(maps.Keys(numbers)) {
				for _, key := range slices.Sorted(maps.Keys(callers)) {
					d.door(name, number, callers[key])
				}
			}
		})
	d.what = ""
}

// caller are those whom the rules of a service do not tell apart.
type caller []person

// person is somebody who comes with an identity, or with none.
type person struct {
	sender  try.Sender
	subject Subject
	// services are those that have the identity in both meshes; none for others.
	services []string
}

// door compares what a port of a service does with the requests of callers that are alike.
func (d *differ) door(name string, number uint16, callers caller) {
	s := &space{base: try.Request{
		From: callers[0].sender, Method: "GET", Scheme: "http", Host: name, Port: number,
		Path: "/",
	}}
	d.about(s, func(m *about) { m.callee(m.mesh.Service(name)) }) // its routes tell apart what a way shows as well
	to := service(name)
	d.eachTried(s, []Subject{callers[0].subject}, to, func(r *try.Request, a, b outcome) {
		kind := kindOf(a, b)
		if kind != NewlyAllowed && kind != NewlyDenied {
			return // what somebody is answered who is not let in is of no interest
		}
		for _, p := range callers {
			if len(p.services) > 0 && !slices.ContainsFunc(p.services, func(name string) bool {
				way := *r
				way.From = try.Sender{Kind: ir.KindService, Name: name}
				return kindOf(tried(d.old, &way), tried(d.new, &way)) != kind
			}) {
				continue
			}
			own := *r
			own.From = p.sender
			d.add(d.effect(kind, []Subject{p.subject}, to, a, b), &own, a, b)
		}
	})
}

// callers are all who may come to a service in either mesh, by how its rules see them.
func (d *differ) callers(a, b *ir.Service) map[string]caller {
	out := map[string]caller{}
	add := func(p person, peers [2]ir.Peer) {
		key := string(p.sender.Kind)
		for i, s := range []*ir.Service{a, b} {
			for _, rules := range rulesOf(s) {
				for k := range rules {
					key += strconv.Itoa(boolean(rules[k].Names(&peers[i])))
				}
			}
		}
		out[key] = append(out[key], p)
	}
	// With the own domain first: of those whom no rule tells apart, one of the mesh is the witness.
	domains := []string{d.old.Domain()}
	if d.new.Domain() != d.old.Domain() {
		domains = append(domains, d.new.Domain())
	}
	members := [2]map[string]holders{identitiesOf(d.old), identitiesOf(d.new)}
	all := maps.Clone(members[0])
	maps.Copy(all, members[1])
	for _, id := range slices.Sorted(maps.Keys(all)) {
		p := person{
			sender:  try.Sender{Kind: ir.KindIdentity, Name: id},
			subject: all[id].subject(),
		}
		was, is := members[0][id], members[1][id]
		if !slices.EqualFunc(was, is, func(a, b ir.Peer) bool { return a.Ref() == b.Ref() }) {
			p.subject = other("identity " + id)
		} else if is[0].Kind == ir.KindService {
			for i := range is {
				p.services = append(p.services, is[i].Name)
			}
		}
		add(p, [2]ir.Peer{peerOf(was, id), peerOf(is, id)})
	}
	for _, id := range d.strangers(a, b, domains) {
		if _, member := all[id]; !member {
			p := person{sender: try.Sender{Kind: ir.KindIdentity, Name: id}, subject: other("others, as " + id)}
			add(p, [2]ir.Peer{peerOf(nil, id), peerOf(nil, id)})
		}
	}
	out["plaintext"] = caller{{sender: try.Sender{Kind: try.Outside}, subject: outside}}
	return out
}

// holders are the members with one identity: one, or the services that share a service account.
type holders []ir.Peer

// subject names all of them.
func (h holders) subject() Subject {
	if len(h) == 1 {
		return member(h[0].Ref())
	}
	var names []string
	for i := range h {
		names = append(names, h[i].Ref().String())
	}
	return other(strings.Join(names, ", "))
}

// identitiesOf are the members of a mesh by their identities.
func identitiesOf(m *ir.Mesh) map[string]holders {
	out := map[string]holders{}
	for _, s := range m.Services {
		id := s.Identity.String()
		out[id] = append(out[id], s.Peer())
	}
	for _, g := range m.Gateways {
		id := g.Identity.String()
		out[id] = append(out[id], g.Peer())
	}
	return out
}

// peerOf is one of the members, whom no rule tells apart, or somebody else with that identity.
func peerOf(members holders, id string) ir.Peer {
	if len(members) > 0 {
		return members[0]
	}
	parsed, _ := spiffeid.FromString(id) // what is not an ID is nobody's
	return ir.Peer{Kind: ir.KindIdentity, Identity: parsed}
}

// strangers are identities of nobody in the mesh, one of each combination of the patterns of a service's rules.
func (d *differ) strangers(a, b *ir.Service, domains []string) []string {
	var patterns []string
	for _, domain := range domains {
		patterns = append(patterns, quote(domain)+".*")
	}
	for _, s := range []*ir.Service{a, b} {
		for _, rules := range rulesOf(s) {
			for i := range rules {
				for _, p := range rules[i].From {
					if below, all := strings.CutSuffix(p.Pattern, "*"); all {
						patterns = append(patterns, quote(below)+".*")
					} else if p.Pattern != "" {
						patterns = append(patterns, quote(p.Pattern))
					}
				}
			}
		}
	}
	slices.Sort(patterns)
	ids, whole := samples(legalID, slices.Compact(patterns))
	if !whole {
		d.Missed = append(d.Missed, "there are too many sorts of identity: not all were tried")
	}
	return ids
}

func rulesOf(s *ir.Service) [][]ir.Rule {
	if s == nil {
		return nil
	}
	return [][]ir.Rule{s.Allow, s.Deny}
}
