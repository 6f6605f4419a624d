package state

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/meshc/meshc/compiler"
)

// always is a time at which no rule is over: one that is lets nobody in, and is not an error of the comparison.
var always = time.Unix(1, 0)

// Compiler makes states of specs.
type Compiler struct {
	// Compile is [compiler.Compile], within the limits and with the tags that a command has.
	Compile func(context.Context, compiler.Options) (*compiler.Result, error)
	// Cache is the directory in which meshes of revisions are kept; empty for nowhere.
	Cache string
	// Inputs are what a mesh depends on besides its files and this build: the version and the tags.
	Inputs []string
	// Untrusted refuses a repository whose configuration is not its own ([revision.Repository.Own]).
	Untrusted bool
}

// WrongError is for a mesh that nobody can compare, by what is found in it: Result has the findings, which say why.
type WrongError struct {
	Result *compiler.Result
	text   string
}

func (e *WrongError) Error() string { return e.text }

// PartError is for a directory that is a part of a module: whole meshes are compared.
type PartError struct{ Dir, Root string }

func (e *PartError) Error() string {
	return fmt.Sprintf("diff compares whole meshes, and %s is a part of the one in %s\n  hint: name that directory, or none", e.Dir, e.Root)
}

// WorkTree is the mesh whose spec is in a directory, as it is now. The error is a [*WrongError] for one with errors,
// and a [*PartError] below the root of a module, unless it is the working directory.
func (c *Compiler) WorkTree(ctx context.Context, dir string) (*State, error) {
	result, err := c.Compile(ctx, compiler.Options{Dir: dir, Now: always})
	if err != nil {
		return nil, err
	}
	if root, err := filepath.Abs(dir); err == nil && dir != "." && result.Root != "" &&
		actual(root) != actual(result.Root) {
		return nil, &PartError{dir, result.Root}
	}
	s := &State{Root: result.Root}
	s.take(result)
	if s.Mesh == nil {
		return nil, &WrongError{result, fmt.Sprintf("the mesh in %s has errors, so nobody can say what it does", dir)}
	}
	return s, nil
}

// actual is a directory without links in its path.
func actual(dir string) string {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return real
	}
	return dir
}
