package importer

import "github.com/meshc/meshc/compiler/membername"

// A service has its name, and NAME.NAMESPACE where Services of several namespaces have the name: so the spec refers to
// it from everywhere.

// Names are the plain names of services and the names of gateways, which externals and other gateways cannot have.
func (m *Mesh) Names() map[string]bool {
	out := map[string]bool{}
	for name := range m.Repository.Services {
		out[membername.Plain(name)] = true
	}
	for name := range m.Repository.Gateways {
		out[name] = true
	}
	return out
}

// severalHave says which names Services of several namespaces have.
func severalHave(objects []*Object) map[string]bool {
	first, out := map[string]string{}, map[string]bool{}
	for _, o := range Of(objects, "", "Service") {
		name, namespace := o.Metadata.Name, o.Metadata.Namespace
		if other, known := first[name]; known && namespace != other {
			out[name] = true
		}
		first[name] = namespace
	}
	return out
}
