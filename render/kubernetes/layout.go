package kubernetes

import (
	"maps"
	"path"
	"slices"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/certificates"
)

// Layout says which directories have something to apply, each with a
// kustomization.yaml, in the order in which they are applied: the Namespaces, the
// certificates, the control plane, the members.
type Layout struct {
	// Namespaces, Certificates and Server are directories, "" for none.
	Namespaces, Certificates, Server string
	// Members are the directories of the members, by namespace.
	Members map[string]string

	namespaces []string // the files in Namespaces, relative to it
}

// LayoutOf is the layout of the mesh's output. It is empty when no member is in
// a cluster.
func LayoutOf(m *ir.Mesh) Layout { return layoutOf(m, namespaces(m)) }

func layoutOf(m *ir.Mesh, all map[string]*namespace) Layout {
	l := Layout{Members: map[string]string{}}
	if len(all) == 0 {
		return l
	}
	l.Namespaces = directory
	for _, name := range slices.Sorted(maps.Keys(all)) {
		l.Members[name] = namespaceDir(name)
		l.namespaces = append(l.namespaces, name+"/"+namespaceBase)
	}
	if certificates.Applied(m) {
		l.Certificates = certificates.Directory
	}
	if m.Delivery == ir.DeliveryXDS {
		l.Server = namespaceDir(m.SystemNamespace())
		l.namespaces = append(l.namespaces, m.SystemNamespace()+"/"+namespaceBase)
	}
	return l
}

// directories are all of them in the order to apply.
func (l *Layout) directories() []string {
	var dirs []string
	for _, dir := range []string{l.Namespaces, l.Certificates, l.Server} {
		if dir != "" {
			dirs = append(dirs, dir)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.Members)) {
		dirs = append(dirs, l.Members[name])
	}
	return dirs
}

// Applied are the files that are applied to a cluster, in that order, without
// those that only Kustomize reads.
func Applied(m *ir.Mesh) []string {
	all := namespaces(m)
	l := layoutOf(m, all)
	var files []string
	in := func(dir string, names []string) {
		for _, name := range names {
			files = append(files, path.Join(dir, name))
		}
	}
	in(l.Namespaces, l.namespaces)
	if l.Certificates != "" {
		in(l.Certificates, certificates.Files(m))
	}
	if l.Server != "" {
		in(l.Server, serverFiles())
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		in(l.Members[name], all[name].listed())
	}
	return files
}
