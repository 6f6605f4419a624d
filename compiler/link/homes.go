package link

import (
	"fmt"
	"reflect"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/membername"
	"github.com/meshc/meshc/compiler/same"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

// home is the one place where a service, gateway or external is written.
type home[T any] struct {
	place
	spec      *T
	pos       source.Position
	namespace string // of a member
}

// homes finds the home of everything, tests by their titles. What stands in a directory is also seen
// by the units below it; a second place, or a unit below that adds to it, is an
// error that names both.
func (l *linker) homes(units []*spec.Unit) {
	l.services = map[string]home[spec.Service]{}
	l.gateways = map[string]home[spec.Gateway]{}
	l.externals = map[string]home[spec.External]{}
	l.tests = map[string]home[spec.Test]{}
	for _, u := range units {
		settle(l, l.services, "services.%s", u, u.Services, func(name string, s *spec.Service) written {
			return l.member(ir.KindService, name, s.Namespace, s.Pos)
		})
		settle(l, l.gateways, "gateways.%s", u, u.Gateways, func(name string, g *spec.Gateway) written {
			return l.member(ir.KindGateway, name, g.Namespace, g.Pos)
		})
		settle(l, l.tests, "tests.%q", u, u.Tests, func(name string, t *spec.Test) written {
			return written{name: name, pos: t.Pos}
		})
		settle(l, l.externals, "external.%s", u, u.External, func(name string, e *spec.External) written {
			return written{name: name, pos: e.Pos}
		})
	}
	resolve(l, l.services)
	resolve(l, l.gateways)
	resolve(l, l.tests)
}

// writtenAt is a name and where it was written: a comprehension writes several at one place.
type writtenAt struct {
	name string
	pos  source.Position
}

// written is something in a unit, with the name that it has in the mesh.
type written struct {
	name string
	pos  spec.Pos
	// namespace of a member, and where it was written; 0 for the default.
	namespace    string
	namespacePos spec.Pos
}

func (l *linker) member(kind ir.MemberKind, name string, namespace spec.Field[string], pos spec.Pos) written {
	in := namespace.Or(defaultNamespace)
	return written{l.names.inMesh(kind, name, in), pos, in, namespace.Pos}
}

// settle finds the homes of one kind of thing, whose paths are of the format. Of says what a thing is that has the name
// in a unit.
func settle[T any](l *linker, homes map[string]home[T], format string, u *spec.Unit, things map[string]*T,
	of func(name string, thing *T) written,
) {
	for _, plain := range sortedKeys(things) {
		thing := things[plain]
		w := of(plain, thing)
		here := place{u, fmt.Sprintf(format, w.name)}
		pos := here.pos(w.pos)
		first, taken := homes[w.name]
		at := writtenAt{plain, pos}
		if other := l.homeAt[at]; !taken && other != "" && w.name != plain {
			l.ambiguous[w.name] = true
			l.add(diag.TwoHomes, here,
				fmt.Sprintf("%s is written once, and has the namespace %s here and %s there", fmt.Sprintf(format, plain),
					w.namespace, homes[other].namespace), here.pos(w.namespacePos), pos).
				hint("write its namespace where the rest of it is written")
			continue
		}
		if !taken {
			homes[w.name] = home[T]{here, thing, pos, w.namespace}
			l.homeAt[at] = w.name
			continue
		}
		if first.pos == pos && saying.Values(reflect.ValueOf(first.spec), reflect.ValueOf(thing)) {
			continue // seen from a unit below
		}
		l.add(diag.TwoHomes, here, fmt.Sprintf("%s is defined in two places", here.path), pos, first.pos).
			hint("a name belongs to one directory: move both into one, or give one of them another name")
	}
}

// resolve gives every name of a member in the homes the form that it has in the mesh.
func resolve[T any](l *linker, homes map[string]home[T]) {
	for _, name := range sortedKeys(homes) {
		h := homes[name]
		h.spec = named(l, h.place, h.namespace, h.spec)
		homes[name] = h
	}
}

// plainNames are the homes by the names that their members have in their namespaces: of several, the first.
func plainNames[T any](homes map[string]home[T]) map[string]home[T] {
	out := map[string]home[T]{}
	for _, name := range sortedKeys(homes) {
		if plain := ir.PlainName(name); out[plain].spec == nil {
			out[plain] = homes[name]
		}
	}
	return out
}

// takenNames refuses a name that two kinds of thing share, as uses and file
// names could not tell them apart.
func (l *linker) takenNames() {
	services, gateways := plainNames(l.services), plainNames(l.gateways)
	for _, name := range sortedKeys(gateways) {
		if s, taken := services[name]; taken {
			l.taken(name, gateways[name].place, gateways[name].pos, "service", s.pos)
		}
	}
	for _, name := range sortedKeys(l.externals) {
		e := l.externals[name]
		if s, taken := services[name]; taken {
			l.taken(name, e.place, e.pos, "service", s.pos)
		} else if g, taken := gateways[name]; taken {
			l.taken(name, e.place, e.pos, "gateway", g.pos)
		}
	}
}

// takenServices refuses names that Kubernetes would see twice: meshc makes Services for the instances of a service and
// of each version, and for gateways and their egress. The Service of a member's own name exists, whoever makes it. The
// control plane's namespace has no members.
func (l *linker) takenServices() {
	taken := serviceNames{}
	for _, s := range l.mesh.Services {
		taken[serviceName{s.Namespace, s.PlainName()}] = s.Pos
		l.ownNamespace(l.services[s.Name].place, s.Namespace, s.Pos)
	}
	for _, g := range l.mesh.Gateways {
		taken[serviceName{g.Namespace, g.PlainName()}] = g.Pos
		l.ownNamespace(l.gateways[g.Name].place, g.Namespace, g.Pos)
	}
	for _, g := range l.mesh.Gateways {
		if g.Egress != nil {
			l.claimService(taken, serviceName{g.Namespace, g.EgressService()}, l.gateways[g.Name].field("egress"),
				"the egress of "+g.Name, "the egress of a gateway is reached as NAME-egress", g.Pos)
		}
	}
	for _, s := range l.mesh.Services {
		if !s.Workload.InCluster() {
			continue
		}
		here := l.services[s.Name]
		if !s.Created {
			l.claimService(taken, serviceName{s.Namespace, s.ClusterService("")}, here.place, "the Service by which meshc finds the pods of "+
				s.Name, "meshc finds pods by a Service NAME-meshc", s.Pos)
		}
		for _, v := range s.Versions {
			form := "a version is reached as NAME-VERSION"
			if !s.Created {
				form = "meshc finds the pods of a version by a Service NAME-meshc-VERSION"
			}
			l.claimService(taken, serviceName{s.Namespace, s.ClusterService(v.Name)}, here.field("versions."+v.Name),
				fmt.Sprintf("version %s of %s", v.Name, s.Name), form, v.Pos)
		}
	}
}

// serviceName is that of a Kubernetes Service.
type serviceName struct{ namespace, name string }

// serviceNames are those that are taken, and where.
type serviceNames map[serviceName]source.Position

// claimService takes the name of a Service for what is said in words, or says that it is taken.
func (l *linker) claimService(taken serviceNames, k serviceName, here place, what, form string, pos source.Position) {
	if other, is := taken[k]; is {
		l.add(diag.NameTaken, here, fmt.Sprintf("%s would have the name %s, and that name is taken", what, k.name), pos,
			other).
			hint("%s: give one of them another name", form)
		return
	}
	taken[k] = pos
}

// takenWorkloads refuses pods that would belong to two services: a pod has one proxy.
func (l *linker) takenWorkloads() {
	type key struct {
		namespace string
		pods      ir.Pods
	}
	owners := map[key]*ir.Service{}
	for _, s := range l.mesh.Services {
		if !s.Workload.InCluster() {
			continue
		}
		for _, name := range s.PodsNames() {
			k := key{s.Namespace, ir.Pods{Kind: s.Workload.Pods.Kind, Name: name}}
			if other := owners[k]; other != nil {
				l.add(diag.NameTaken, l.services[s.Name].field("workload"),
					fmt.Sprintf("the pods of %s %s are those of the service %s", k.pods.Kind, name, other.Name),
					s.Workload.Pos, other.Workload.Pos).
					hint("a pod has one proxy and one identity: make it one service with several ports")
				continue
			}
			owners[k] = s
		}
	}
}

func (l *linker) ownNamespace(here place, namespace string, pos source.Position) {
	if namespace == l.mesh.SystemNamespace() {
		l.add(diag.NameTaken, here.field("namespace"), fmt.Sprintf("the namespace %s is reserved for the control plane",
			namespace), pos).
			hint("use another namespace")
	}
	if membername.OfCluster(namespace) {
		l.add(diag.SystemMember, here.field("namespace"),
			fmt.Sprintf("the namespace %s belongs to the cluster itself: a member there could get its permissions, and what the mesh adds there could break it", namespace), pos).
			hint("use another namespace")
	}
}

func (l *linker) taken(name string, here place, pos source.Position, other string, otherPos source.Position) {
	l.add(diag.NameTaken, here, fmt.Sprintf("the name %q is taken by a %s", name, other), pos, otherPos).
		hint("services, gateways and externals share one set of names")
}

// saying compares parts of the spec, wherever they stand.
var saying = same.Comparison{Ignored: reflect.TypeFor[spec.Pos]()}
