package sink

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Replace makes the tree hold exactly the files: as a whole, or not at all.
// Where nothing differs it touches nothing. It returns what changed and the
// stamps of all files. The spare tree, which may be nil, is used up and replaced
// by the one that stood there.
func (t *Tree) Replace(files []File, spare *Spare) ([]Difference, map[string]Stamp, error) {
	differences, err := t.Compare(files)
	if err != nil {
		return nil, nil, err
	}
	if len(differences) == 0 && t.exists {
		return nil, t.stamps, nil
	}
	if err := checkPaths(files); err != nil {
		return nil, nil, err
	}
	stamps, err := t.replace(files, differences, spare)
	if err != nil {
		return nil, nil, fmt.Errorf("%s cannot be written and is as it was: %w", t.name, because(err))
	}
	return differences, stamps, nil
}

func (t *Tree) replace(files []File, differences []Difference, spare *Spare) (map[string]Stamp, error) {
	parent := filepath.Dir(t.dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lock(parent)
	if err != nil {
		return nil, err
	}
	defer unlock()
	removeLeftovers(t.dir)
	next, err := os.MkdirTemp(parent, leftoverPrefix(t.dir)+"*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(next)
	stamps, err := t.make(next, files, differences, spare)
	if err != nil {
		return nil, err
	}
	if err := t.swap(next); err != nil {
		return nil, err
	}
	if t.exists {
		spare.keep(next, differences)
	}
	return stamps, nil
}

// because is what the system says, without the names of files that are not the
// user's.
func because(err error) error {
	var pathErr *fs.PathError
	var linkErr *os.LinkError
	switch {
	case errors.As(err, &pathErr):
		return pathErr.Err
	case errors.As(err, &linkErr):
		return linkErr.Err
	}
	return err
}

// make makes the next tree, of the spare one if it can be had.
func (t *Tree) make(next string, files []File, differences []Difference, spare *Spare) (map[string]Stamp, error) {
	if t.exists && spare.borrow(next) {
		if stamps, err := t.renew(next, files, differences, spare.Stale); err == nil {
			return stamps, nil
		}
		// It is not what it was thought to be: begin anew.
		if err := errors.Join(os.RemoveAll(next), os.Mkdir(next, 0o700)); err != nil {
			return nil, err
		}
	}
	return t.build(next, files, differences)
}

// build makes the new tree in next: links to what stays, files for the rest.
func (t *Tree) build(next string, files []File, differences []Difference) (map[string]Stamp, error) {
	mode := fs.FileMode(0o755)
	if info, err := os.Stat(t.dir); err == nil {
		mode = info.Mode().Perm()
	}
	if err := os.Chmod(next, mode); err != nil {
		return nil, err
	}
	changed := make(map[string]bool, len(differences))
	for _, d := range differences {
		changed[d.Path] = true
	}
	made := map[string]bool{".": true}
	stamps := make(map[string]Stamp, len(files))
	for _, f := range files {
		if err := makeDirs(next, path.Dir(f.Path), made); err != nil {
			return nil, err
		}
		name := filepath.Join(next, filepath.FromSlash(f.Path))
		if !changed[f.Path] {
			if os.Link(filepath.Join(t.dir, filepath.FromSlash(f.Path)), name) == nil {
				stamps[f.Path] = t.stamps[f.Path]
				continue
			}
			if f.Data == nil { // a file system without hard links
				var err error
				if f.Data, err = t.Read(f.Path); err != nil {
					return nil, err
				}
			}
		}
		stamp, err := writeFile(name, f.Data)
		if err != nil {
			return nil, err
		}
		stamps[f.Path] = stamp
	}
	return stamps, nil
}

func makeDirs(root, dir string, made map[string]bool) error {
	if made[dir] {
		return nil
	}
	if err := makeDirs(root, path.Dir(dir), made); err != nil {
		return err
	}
	made[dir] = true
	return os.Mkdir(filepath.Join(root, filepath.FromSlash(dir)), 0o755)
}

// swap puts next in the tree's place.
func (t *Tree) swap(next string) error {
	if !t.exists {
		return os.Rename(next, t.dir)
	}
	err := exchange(next, t.dir)
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	// Without an exchange there is an instant with no directory, and never one
	// with half of it.
	old := next + ".old"
	if err := os.Rename(t.dir, old); err != nil {
		return err
	}
	if err := os.Rename(next, t.dir); err != nil {
		return errors.Join(err, os.Rename(old, t.dir))
	}
	return os.RemoveAll(old)
}

func leftoverPrefix(dir string) string { return "." + filepath.Base(dir) + ".meshc-" }

// removeLeftovers removes what runs that were killed left beside the directory.
func removeLeftovers(dir string) {
	entries, err := os.ReadDir(filepath.Dir(dir))
	if err != nil {
		return
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), leftoverPrefix(dir)) {
			_ = os.RemoveAll(filepath.Join(filepath.Dir(dir), entry.Name()))
		}
	}
}

// checkPaths makes sure that no file escapes the directory, and that no two are
// one where case does not count.
func checkPaths(files []File) error {
	seen := make(map[string]string, len(files))
	for _, f := range files {
		if !fs.ValidPath(f.Path) || f.Path == "." || strings.ContainsAny(f.Path, "\\\x00") ||
			slices.Contains(strings.Split(f.Path, "/"), "") {
			return fmt.Errorf("file name %q leaves the output directory", f.Path)
		}
		folded := strings.ToLower(f.Path)
		if other, twice := seen[folded]; twice {
			return fmt.Errorf("file names %q and %q are one on some file systems", other, f.Path)
		}
		seen[folded] = f.Path
	}
	return nil
}
