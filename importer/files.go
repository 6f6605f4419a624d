package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cuelang.org/go/cue/token"

	"github.com/meshc/meshc/compiler/membername"
	"github.com/meshc/meshc/compiler/spec"
)

// Files returns the mesh as the files of a repository, by path: mesh.cue in the root, and a directory, which is a
// unit, for each service, gateway and external.
func (m *Mesh) Files() (map[string][]byte, error) {
	parts, err := m.parts()
	for name, text := range parts {
		parts[name] = append([]byte("package "+m.Package()+"\n\n"), text...)
	}
	return parts, err
}

// SameNameError is for services of one name in several namespaces, which one file cannot have: each is written in a
// directory of its own.
type SameNameError struct{ Name string }

func (e *SameNameError) Error() string {
	return fmt.Sprintf("services of several namespaces have the name %s, and one file cannot have them", e.Name)
}

// File returns the mesh as one CUE file. The error is a [*SameNameError] where that cannot be.
func (m *Mesh) File() ([]byte, error) {
	for _, name := range slices.Sorted(maps.Keys(m.Repository.Services)) {
		if plain := membername.Plain(name); plain != name {
			return nil, &SameNameError{plain}
		}
	}
	parts, err := m.parts()
	if err != nil {
		return nil, err
	}
	text := []byte("package " + m.Package() + "\n")
	add := func(name string) { text = append(append(text, '\n'), parts[name]...) }
	add(meshFile)
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if name != meshFile {
			add(name)
		}
	}
	return text, nil
}

const meshFile = "mesh.cue"

// parts are what the files say, by their names, without the clause of the package.
func (m *Mesh) parts() (map[string][]byte, error) {
	r := m.Repository
	repositories := map[string]*spec.Repository{meshFile: {Mesh: r.Mesh}}
	for name, s := range r.Services {
		repositories["services/"+name+"/service.cue"] = &spec.Repository{
			Services: map[string]*spec.Service{membername.Plain(name): s},
		}
	}
	for name, g := range r.Gateways {
		repositories["gateways/"+name+"/gateway.cue"] = &spec.Repository{Gateways: map[string]*spec.Gateway{name: g}}
	}
	for name, e := range r.External {
		repositories["external/"+name+"/external.cue"] = &spec.Repository{External: map[string]*spec.External{name: e}}
	}
	parts := map[string][]byte{}
	for name, part := range repositories {
		text, err := spec.Print(part)
		if err != nil {
			return nil, err
		}
		parts[name] = text
	}
	return parts, nil
}

// Package returns the name of the CUE package of the mesh.
func (m *Mesh) Package() string {
	name := strings.ReplaceAll(m.Name, "-", "_")
	if token.Lookup(name).IsKeyword() {
		name += "_mesh"
	}
	return name
}
