package revision

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

const dotGit = ".git"

// Repository is the repository of Git whose work tree a directory is in. It is found once, and all that is asked of it
// is asked of the same one.
type Repository struct {
	// Top is the absolute root of the work tree, and Prefix the path from there to the directory, "" for the root itself.
	Top, Prefix string
}

// ErrNone is for a directory that is in no repository.
var ErrNone = errors.New("is in no repository of Git")

// Find looks for .git in the directory and those above it. Git takes nothing of that name into a tree, so that it is never
// content of a commit, as HEAD, objects and refs in a directory can be, which Git itself would take for a bare repository.
//
// A directory that is reached through a symbolic link below the root is an error: in a commit, its path leads elsewhere.
func Find(dir string) (*Repository, error) {
	named, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	actual, err := filepath.EvalSymlinks(named)
	if err != nil {
		return nil, err
	}
	top := topOf(named)
	if top == "" { // a link from outside a repository into it
		named = actual
		top = topOf(actual)
	}
	if top == "" {
		return nil, fmt.Errorf("%s %w", dir, ErrNone)
	}
	prefix, err := filepath.Rel(top, named)
	if err != nil {
		return nil, err
	}
	realTop, err := filepath.EvalSymlinks(top)
	if err != nil {
		return nil, err
	}
	if filepath.Join(realTop, prefix) != actual {
		return nil, fmt.Errorf("%s leads through a symbolic link of the repository to %s, and a commit has nothing below a link\n  hint: name the directory itself", named, actual)
	}
	r := &Repository{Top: realTop, Prefix: filepath.ToSlash(prefix)}
	if r.Prefix == "." {
		r.Prefix = ""
	}
	return r, nil
}

// Top is the directory of the work tree that a directory is in, or the directory itself where there is none.
func Top(dir string) (string, error) {
	r, err := Find(dir)
	if errors.Is(err, ErrNone) {
		return dir, nil
	}
	if err != nil {
		return "", err
	}
	return r.Top, nil
}

func topOf(dir string) string {
	for {
		if _, err := os.Lstat(filepath.Join(dir, dotGit)); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

// Own is an error when another repository around this one has it as a submodule, or has files where it is: then the outer
// repository's commits say what is here, and a change of them can bring another history along.
func (r *Repository) Own(ctx context.Context) error {
	outer, err := Find(filepath.Dir(r.Top))
	if errors.Is(err, ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	at := path.Join(outer.Prefix, filepath.Base(r.Top))
	listed, err := outer.git(ctx, "", nil, "ls-files", "-z", "--", at)
	if err != nil {
		return err
	}
	if listed == "" { // the index may have been written by whoever writes the tree
		listed, _ = outer.git(ctx, "", nil, "ls-tree", "-z", "--full-tree", "HEAD", "--", at) // no commit, no tree
	}
	if listed != "" {
		return fmt.Errorf("%s is a submodule of %s, whose commits decide what its history is\n  hint: compare in a clone of its own", r.Top, outer.Top)
	}
	return nil
}

// in is a path of the repository as a path from the directory; false when it is elsewhere.
func (r *Repository) in(name string) (string, bool) {
	if r.Prefix == "" {
		return name, true
	}
	return strings.CutPrefix(name, r.Prefix+"/")
}
