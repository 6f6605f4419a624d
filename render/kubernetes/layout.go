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

// Stage is a part of what is applied to a cluster; the next one waits until all of it
// is ready.
type Stage struct {
	Name string
	// Files are those of the output directory, in the order in which they are applied,
	// without those that only Kustomize reads.
	Files []string
}

// The stages by their names.
const (
	StageNamespaces   = "namespaces"
	StageCertificates = "certificates"
	StageServer       = "server"
	StageMembers      = "members"
)

// Stages are those of the mesh, in their order.
func Stages(m *ir.Mesh) []Stage {
	all := namespaces(m)
	l := layoutOf(m, all)
	var stages []Stage
	add := func(stage, dir string, names []string) {
		if dir == "" || len(names) == 0 {
			return
		}
		if len(stages) == 0 || stages[len(stages)-1].Name != stage {
			stages = append(stages, Stage{Name: stage})
		}
		last := &stages[len(stages)-1]
		for _, name := range names {
			last.Files = append(last.Files, path.Join(dir, name))
		}
	}
	add(StageNamespaces, l.Namespaces, l.namespaces)
	add(StageCertificates, l.Certificates, certificates.Files(m))
	add(StageServer, l.Server, serverFiles(m))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		add(StageMembers, l.Members[name], all[name].listed())
	}
	return stages
}

// Applied are the files of all stages.
func Applied(m *ir.Mesh) []string {
	var files []string
	for _, stage := range Stages(m) {
		files = append(files, stage.Files...)
	}
	return files
}
