package link

import (
	"fmt"
	"reflect"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

// home is the one place where a service, gateway or external is written.
type home[T any] struct {
	place
	spec *T
	pos  source.Position
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
		settle(l, l.services, "services.%s", u, u.Services, func(s *spec.Service) spec.Pos { return s.Pos })
		settle(l, l.gateways, "gateways.%s", u, u.Gateways, func(g *spec.Gateway) spec.Pos { return g.Pos })
		settle(l, l.tests, "tests.%q", u, u.Tests, func(t *spec.Test) spec.Pos { return t.Pos })
		settle(l, l.externals, "external.%s", u, u.External, func(e *spec.External) spec.Pos { return e.Pos })
	}
}

// settle finds the homes of one kind of thing, whose paths are of the format.
func settle[T any](l *linker, homes map[string]home[T], format string, u *spec.Unit, written map[string]*T,
	posOf func(*T) spec.Pos,
) {
	for _, name := range sortedKeys(written) {
		here, thing := place{u, fmt.Sprintf(format, name)}, written[name]
		pos := here.pos(posOf(thing))
		first, taken := homes[name]
		if !taken {
			homes[name] = home[T]{here, thing, pos}
			continue
		}
		if first.pos == pos && same(reflect.ValueOf(first.spec), reflect.ValueOf(thing)) {
			continue // seen from a unit below
		}
		l.add(diag.TwoHomes, here, fmt.Sprintf("%s is defined in two places", here.path), pos, first.pos).
			hint("a name belongs to one directory: move both into one, or give one of them another name")
	}
}

// takenNames refuses a name that two kinds of thing share, as uses and file
// names could not tell them apart.
func (l *linker) takenNames() {
	for _, name := range sortedKeys(l.gateways) {
		if s, taken := l.services[name]; taken {
			l.taken(name, l.gateways[name].place, l.gateways[name].pos, "service", s.pos)
		}
	}
	for _, name := range sortedKeys(l.externals) {
		e := l.externals[name]
		if s, taken := l.services[name]; taken {
			l.taken(name, e.place, e.pos, "service", s.pos)
		} else if g, taken := l.gateways[name]; taken {
			l.taken(name, e.place, e.pos, "gateway", g.pos)
		}
	}
}

// takenServices refuses names that Kubernetes would see twice: a version stands
// there as a Service NAME-VERSION of its own. The control plane's namespace has
// no members.
func (l *linker) takenServices() {
	type key struct{ namespace, name string }
	pos := map[key]source.Position{}
	for _, s := range l.mesh.Services {
		pos[key{s.Namespace, s.Name}] = s.Pos
		l.ownNamespace(l.services[s.Name].place, s.Namespace, s.Pos)
	}
	for _, g := range l.mesh.Gateways {
		pos[key{g.Namespace, g.Name}] = g.Pos
		l.ownNamespace(l.gateways[g.Name].place, g.Namespace, g.Pos)
	}
	for _, s := range l.mesh.Services {
		for _, v := range s.Versions {
			k := key{s.Namespace, s.ClusterService(v.Name)}
			if other, taken := pos[k]; taken {
				l.add(diag.NameTaken, l.services[s.Name].field("versions."+v.Name),
					fmt.Sprintf("version %s of %s would have the name %s, and that name is taken", v.Name, s.Name,
						k.name), v.Pos, other).
					hint("a version is reached as NAME-VERSION: give one of them another name")
				continue
			}
			pos[k] = v.Pos
		}
	}
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
	if systemNamespaces[namespace] {
		l.add(diag.SystemMember, here.field("namespace"),
			fmt.Sprintf("the namespace %s belongs to the cluster itself: a member there could get its permissions, and what the mesh adds there could break it", namespace), pos).
			hint("use another namespace")
	}
}

func (l *linker) taken(name string, here place, pos source.Position, other string, otherPos source.Position) {
	l.add(diag.NameTaken, here, fmt.Sprintf("the name %q is taken by a %s", name, other), pos, otherPos).
		hint("services, gateways and externals share one set of names")
}

var posType = reflect.TypeFor[spec.Pos]()

// same reports whether two parts of a spec say the same, wherever they stand.
func same(a, b reflect.Value) bool {
	if a.IsValid() != b.IsValid() {
		return false
	}
	if !a.IsValid() || a.Type() == posType {
		return true
	}
	switch a.Kind() {
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return same(a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range a.NumField() {
			if !same(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !same(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Map:
		if a.Len() != b.Len() {
			return false
		}
		for _, key := range a.MapKeys() {
			if !b.MapIndex(key).IsValid() || !same(a.MapIndex(key), b.MapIndex(key)) {
				return false
			}
		}
		return true
	}
	return a.Equal(b)
}
