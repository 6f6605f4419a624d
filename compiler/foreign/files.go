package foreign

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cuelang.org/go/cue/token"

	"github.com/meshc/meshc/compiler/spec"
)

// Files are the mesh as a repository: mesh.cue at its root, and a directory, which is a unit of
// its own, for each service, gateway and external.
func (m *Mesh) Files() (map[string][]byte, error) {
	files := map[string][]byte{}
	r := m.Repository
	write := func(name string, part *spec.Repository) error {
		text, err := spec.Print(part)
		files[name] = []byte(fmt.Sprintf("package %s\n\n%s", m.Package(), text))
		return err
	}
	if err := write("mesh.cue", &spec.Repository{Mesh: r.Mesh}); err != nil {
		return nil, err
	}
	for name, s := range r.Services {
		if err := write("services/"+name+"/service.cue", &spec.Repository{Services: map[string]*spec.Service{name: s}}); err != nil {
			return nil, err
		}
	}
	for name, g := range r.Gateways {
		if err := write("gateways/"+name+"/gateway.cue", &spec.Repository{Gateways: map[string]*spec.Gateway{name: g}}); err != nil {
			return nil, err
		}
	}
	for name, e := range r.External {
		if err := write("external/"+name+"/external.cue", &spec.Repository{External: map[string]*spec.External{name: e}}); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// File is the mesh as one file.
func (m *Mesh) File() ([]byte, error) {
	files, err := m.Files()
	if err != nil {
		return nil, err
	}
	text := []byte("package " + m.Package() + "\n")
	order := slices.SortedFunc(maps.Keys(files), func(a, b string) int {
		if (a == "mesh.cue") != (b == "mesh.cue") {
			return map[bool]int{true: -1, false: 1}[a == "mesh.cue"]
		}
		return strings.Compare(a, b)
	})
	for _, name := range order {
		_, body, _ := strings.Cut(string(files[name]), "\n")
		text = append(text, body...)
	}
	return text, nil
}

// Package is the name of the CUE package.
func (m *Mesh) Package() string {
	name := strings.ReplaceAll(m.Name, "-", "_")
	if token.Lookup(name).IsKeyword() {
		name += "_mesh"
	}
	return name
}
