package ir

import (
	"strings"

	"github.com/meshc/meshc/compiler/source"
)

// Review is what a spec says for those who check and review it. A mesh.json has none of it.
type Review struct {
	// Known is set for a mesh of which a spec was read: what is empty is not there then, and not only not known.
	Known bool
	// Tests are sorted by title.
	Tests []*Test
	// Owners are those of directories and files, sorted by path, and Grants to whom members
	// let their configuration change from elsewhere.
	Owners []Owner
	Grants map[Ref][]string
	// AllowedRoutes are whose services may have routes at a gateway.
	AllowedRoutes map[Ref][]AllowedRoutes
	// Silences are the warnings that are turned off, sorted by At and Code.
	Silences []Silence
}

// Owner says whose a directory is, or a file.
type Owner struct {
	// Path is relative to the module's root; "." is the root itself.
	Path   string
	Owners []string
	Pos    source.Position
}

// Covers reports whether a file, by its path from the module's root, is the owner's or in the owner's directory.
func (o *Owner) Covers(file string) bool { return Within(o.Path, file) }

// Within reports whether a file is the one of a path, or in that directory, both from the module's root.
func Within(path, file string) bool {
	return path == "." || file == path || strings.HasPrefix(file, path+"/")
}

// OwnersOf are the owners of a file, by the longest path that covers it; false when none does.
func (r *Review) OwnersOf(file string) (owners []string, said bool) {
	longest := -1
	for i := range r.Owners {
		o := &r.Owners[i]
		length := len(o.Path)
		if o.Path == "." {
			length = 0
		}
		if o.Covers(file) && length > longest {
			longest, owners = length, o.Owners
		}
	}
	return owners, longest >= 0
}

// Silence is a warning that is turned off.
type Silence struct {
	// At is the part of the spec that says so: "mesh", "services.NAME", "gateways.NAME" or "external.NAME".
	At string
	// Code of the warning, and the Reason that is given.
	Code, Reason string
	Pos          source.Position
}
