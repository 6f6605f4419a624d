package load

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxLinks limits the number of symbolic links on the way to one file.
const maxLinks = 40

var (
	errLeaves   = errors.New("is a symbolic link that leaves the module")
	errIntoGit  = errors.New("is a symbolic link into .git, which is in no commit")
	errTooLinks = errors.New("is a symbolic link that leads to itself")
)

// followLink returns the path that a symbolic link leads to, below the module and without links in it. It resolves
// each link as text, not as the kernel does, so that the result is the same in a work tree and in the files of a
// commit.
func followLink(root *os.Root, name string) (string, error) {
	for range maxLinks {
		next, err := followOnce(root, name)
		if err != nil || next == name {
			return next, err
		}
		if path.IsAbs(next) || !filepath.IsLocal(next) {
			return "", errLeaves
		}
		for part := range strings.SplitSeq(next, "/") {
			if strings.EqualFold(part, ".git") {
				return "", errIntoGit
			}
		}
		name = next
	}
	return "", errTooLinks
}

// followOnce replaces the first link in a path by its target; if there is none, it returns the path.
func followOnce(root *os.Root, name string) (string, error) {
	parts := strings.Split(name, "/")
	for i := range parts {
		at := path.Join(parts[:i+1]...)
		info, err := root.Lstat(at)
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			continue
		}
		target, err := root.Readlink(at)
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) {
			return target, nil
		}
		return path.Join(append([]string{path.Dir(at), target}, parts[i+1:]...)...), nil
	}
	return name, nil
}
