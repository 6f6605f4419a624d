package link

import (
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// owners are those of directories and files, by path.
func (l *linker) owners(u *spec.Unit, owners map[string][]spec.Field[string]) {
	for _, path := range sortedKeys(owners) {
		o := ir.Owner{Path: path, Pos: u.At(u.Mesh.Pos)}
		for _, f := range owners[path] {
			o.Owners, o.Pos = append(o.Owners, f.Value), u.At(f.Pos)
		}
		l.mesh.Owners = append(l.mesh.Owners, o)
	}
}

// grants are owners whose changes a member takes.
func (l *linker) grants(member ir.Ref, granted []spec.Field[string]) {
	for _, f := range granted {
		if l.mesh.Grants == nil {
			l.mesh.Grants = map[ir.Ref][]string{}
		}
		l.mesh.Grants[member] = append(l.mesh.Grants[member], f.Value)
	}
}
