package ir

import "github.com/meshc/meshc/compiler/source"

// Owner says whose a directory is, or a file.
type Owner struct {
	// Path is relative to the module's root.
	Path   string
	Owners []string
	Pos    source.Position
}
