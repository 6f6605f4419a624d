package kubernetes

import (
	"fmt"
	"maps"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/manifest"
)

// namespace is what the mesh has in one Kubernetes namespace.
type namespace struct {
	services []*ir.Service // that are pods, by name
	gateways []*ir.Gateway // by name
	outside  []*ir.Service // that members in the cluster name by a Service that meshc makes, by name
}

// namespaces are those with something in them, by name.
func namespaces(m *ir.Mesh) map[string]*namespace {
	out := map[string]*namespace{}
	in := func(name string) *namespace {
		if out[name] == nil {
			out[name] = &namespace{}
		}
		return out[name]
	}
	named := map[string]bool{}
	for _, s := range m.Services {
		if !s.Workload.InCluster() {
			continue
		}
		n := in(s.Namespace)
		n.services = append(n.services, s)
		for i := range s.Uses {
			named[s.Uses[i].To] = named[s.Uses[i].To] || dialed(&s.Uses[i])
		}
	}
	for _, g := range m.Gateways {
		n := in(g.Namespace)
		n.gateways = append(n.gateways, g)
	}
	for _, s := range m.Services {
		if !s.Workload.InCluster() && s.Created && named[s.Name] {
			n := in(s.Namespace)
			n.outside = append(n.outside, s)
		}
	}
	return out
}

// dialed reports whether the application dials the callee by its name, on some
// port at least, and not an address of its own proxy.
func dialed(use *ir.Use) bool { return len(use.Binds) < len(use.Ports) }

// Mesh renders what belongs to no single member: the Namespaces, the control
// plane with the compiled mesh, mesh.json, and what Kustomize needs. It is empty
// when no member is in a cluster.
func Mesh(m *ir.Mesh, compiled []byte) ([]manifest.File, error) {
	all := namespaces(m)
	if len(all) == 0 {
		return nil, nil
	}
	if all[m.SystemNamespace()] != nil {
		return nil, fmt.Errorf("the namespace %s is the control plane's own and has members of the mesh",
			m.SystemNamespace())
	}
	if err := distinctServices(m); err != nil {
		return nil, err
	}
	layout := layoutOf(m, all)
	var files []manifest.File
	for _, name := range slices.Sorted(maps.Keys(all)) {
		made, err := all[name].files(m, name)
		if err != nil {
			return nil, err
		}
		files = append(files, made...)
	}
	if m.Delivery == ir.DeliveryXDS {
		made, err := server(m, slices.Sorted(maps.Keys(all)), compiled)
		if err != nil {
			return nil, err
		}
		files = append(files, made...)
	}
	names, err := manifest.Resources(directory, layout.namespaces)
	if err != nil {
		return nil, err
	}
	root, err := manifest.Resources("", layout.directories())
	return append(files, names, root), err
}

// distinctServices refuses two Services of one name: those by which meshc finds pods may have the name of another
// member.
func distinctServices(m *ir.Mesh) error {
	type key struct{ namespace, name string }
	owners := make(map[key]string, len(m.Services)+len(m.Gateways))
	claim := func(namespace, name, owner string) error {
		k := key{namespace, name}
		if other, taken := owners[k]; taken {
			return fmt.Errorf("%s and %s would both have the Kubernetes Service %s in the namespace %s", other, owner,
				name, namespace)
		}
		owners[k] = owner
		return nil
	}
	for _, g := range m.Gateways {
		if err := claim(g.Namespace, g.PlainName(), "gateways."+g.Name); err != nil {
			return err
		}
	}
	for _, s := range m.Services {
		if err := claim(s.Namespace, s.PlainName(), "services."+s.Name); err != nil {
			return err
		}
	}
	for _, s := range m.Services {
		if !s.Workload.InCluster() {
			continue
		}
		if !s.Created {
			if err := claim(s.Namespace, s.ClusterService(""), "the pods of services."+s.Name); err != nil {
				return err
			}
		}
		for i := range s.Versions {
			if err := claim(s.Namespace, s.ClusterService(s.Versions[i].Name),
				"services."+s.Name+".versions."+s.Versions[i].Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// listed are the files of the namespace's members, relative to its directory.
func (n *namespace) listed() []string {
	var files []string
	if len(n.outside) > 0 {
		files = append(files, outsideBase)
	}
	if slices.ContainsFunc(n.services, func(s *ir.Service) bool { return s.Shared && hasAccount(s) }) {
		files = append(files, sharedBase)
	}
	for _, s := range n.services {
		files = append(files, baseName(s.Name))
	}
	for _, g := range n.gateways {
		files = append(files, baseName(g.Name))
	}
	return files
}

// files are those of a namespace besides its members' own.
func (n *namespace) files(m *ir.Mesh, name string) ([]manifest.File, error) {
	own, err := manifest.YAMLFile(namespaceFile(name), manifest.Object(namespaceObject(&m.Settings, name)))
	if err != nil {
		return nil, err
	}
	files := []manifest.File{own}
	if len(n.outside) > 0 {
		var objects []any
		for _, s := range n.outside {
			objects = append(objects, manifest.Object(outside(&m.Settings, &s.Upstream)))
		}
		file, err := manifest.YAMLFile(outsideFile(name), objects...)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	if shared := sharedAccounts(&m.Settings, n.services); len(shared) > 0 {
		file, err := manifest.YAMLFile(path.Join(namespaceDir(name), sharedBase), shared...)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	file, err := manifest.Resources(namespaceDir(name), n.listed())
	if err != nil {
		return nil, err
	}
	files = append(files, file)
	if len(n.services) > 0 {
		if file, err = sidecarComponent(name, n.services); err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// AnnotationPrune keeps Flux from deleting an object that the mesh no longer has.
const AnnotationPrune = "kustomize.toolkit.fluxcd.io/prune"

// namespaceObject is a Namespace. It may hold what is not the mesh's, so it stays
// when the mesh leaves it.
func namespaceObject(settings *ir.Settings, name string) *corev1.Namespace {
	n := &corev1.Namespace{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: meshMeta(settings, "", name),
	}
	n.Annotations = map[string]string{AnnotationPrune: "disabled"}
	return n
}
