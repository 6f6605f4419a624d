package diff

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// Foreign are members of an owner to which a change comes, none of whose files it is in.
type Foreign struct {
	Owner   string   `json:"owner"`
	Members []ir.Ref `json:"members"`
	// Granted is set when each of the members grants that to those whose files change.
	Granted bool `json:"granted"`
}

func (f *Foreign) text() string {
	text := fmt.Sprintf("no file of %s changes, and the proxies of its %s get another configuration", f.Owner,
		list(f.Members))
	if f.Granted {
		text += ", as is granted"
	}
	return text
}

// Owned finds the owners to whose members the change comes, though their files are not in it. Changed are the files
// that are; owners says whose a file is.
func (d *Difference) Owned(m *ir.Mesh, changed []string, owners func(file string) []string) {
	authors := map[string]bool{}
	for _, file := range changed {
		for _, o := range owners(file) {
			authors[o] = true
		}
	}
	found := map[string]*Foreign{}
	for _, member := range d.Proxies.Changed {
		file, grants := positionOf(m, member).File, m.Grants[member]
		of := owners(file)
		if len(of) == 0 || slices.ContainsFunc(of, func(o string) bool { return authors[o] }) {
			continue
		}
		granted := mayHaveRoutes(m, member, changed) || len(authors) > 0 &&
			!slices.ContainsFunc(slices.Collect(maps.Keys(authors)), func(o string) bool {
				return !slices.Contains(grants, o) && !slices.Contains(grants, "*")
			})
		for _, o := range of {
			f := found[o]
			if f == nil {
				f = &Foreign{Owner: o, Granted: true}
				found[o] = f
			}
			f.Members = append(f.Members, member)
			f.Granted = f.Granted && granted
		}
	}
	for _, o := range slices.Sorted(maps.Keys(found)) {
		d.Foreign = append(d.Foreign, *found[o])
	}
}

// mayHaveRoutes reports whether all files that change are in directories whose services may have routes at the gateway.
func mayHaveRoutes(m *ir.Mesh, gateway ir.Ref, changed []string) bool {
	allowed := m.AllowedRoutes[gateway]
	return len(allowed) > 0 && !slices.ContainsFunc(changed, func(file string) bool {
		return !slices.ContainsFunc(allowed, func(a ir.AllowedRoutes) bool {
			return slices.ContainsFunc(a.Directories, func(dir string) bool { return ir.Within(dir, file) })
		})
	})
}

// CodeOwners finds the files whose owners by CODEOWNERS a change replaces, by which the next change is judged: an
// effect for each directory, or for a file of its own owners. Was and is say whose a file is before and after; nil for
// nobody's.
func (d *Difference) CodeOwners(mesh string, files []string, was, is func(file string) []string) {
	known := map[string]bool{}
	for _, file := range files {
		a, b := ownersIn(was, file), ownersIn(is, file)
		dir := path.Dir(file)
		if key := dir + "\x00" + a + "\x00" + b; a != b && !known[key] {
			known[key] = true
			d.Effects = append(d.Effects, &Effect{
				Kind: Gate, To: other("mesh " + mesh), What: "CODEOWNERS of " + dir, Was: a,
				Is: b,
			})
		}
	}
	slices.SortFunc(d.Effects, (*Effect).compare)
}

// ownersIn are the owners of a file in words.
func ownersIn(owners func(file string) []string, file string) string {
	if owners == nil {
		return "nobody"
	}
	return cmp.Or(strings.Join(slices.Sorted(slices.Values(owners(file))), ", "), "nobody")
}

// positionOf is where a member or an external is written; the zero value when the mesh has none of that name.
func positionOf(m *ir.Mesh, member ir.Ref) source.Position {
	if g := m.Gateway(member.Name); member.Kind == ir.KindGateway && g != nil {
		return g.Pos
	}
	if s := m.Service(member.Name); member.Kind == ir.KindService && s != nil {
		return s.Pos
	}
	if e := m.External(member.Name); member.Kind == ir.KindExternal && e != nil {
		return e.Pos
	}
	return source.Position{}
}
