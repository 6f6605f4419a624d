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

// Repository is the Git repository whose work tree contains a directory. It is found once, and all methods use the
// same one.
type Repository struct {
	// Top is the absolute path of the root of the work tree. Prefix is the path from there to the directory; empty
	// for the root itself.
	Top, Prefix string
}

// ErrNone is returned for a directory that is in no Git repository.
var ErrNone = errors.New("is not in a Git repository")

// Find looks for .git in the directory and in the directories above it. Git never stores a file of that name in a
// tree, so .git cannot come from a commit. (Files with the names HEAD, objects and refs can, and Git would accept
// such a directory as a bare repository.)
//
// It returns an error if a symbolic link below the root leads to the directory, because in a commit its path leads
// elsewhere.
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
		return nil, fmt.Errorf(
			"%s leads through a symbolic link of the repository to %s, and a commit has nothing below a link\n  hint: name the directory itself", named, actual)
	}
	r := &Repository{Top: realTop, Prefix: filepath.ToSlash(prefix)}
	if r.Prefix == "." {
		r.Prefix = ""
	}
	return r, nil
}

// Top returns the root of the work tree that contains the directory, or the directory itself if there is none.
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

// Own returns an error if another repository around this one has it as a submodule, or has files at its place. Then
// the commits of the outer repository determine the content here, and a change of them can bring in another history.
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

// relative is a path of the repository as a path from the directory; false when it is elsewhere.
func (r *Repository) relative(name string) (string, bool) {
	if r.Prefix == "" {
		return name, true
	}
	return strings.CutPrefix(name, r.Prefix+"/")
}
