package sink

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// Spare is the tree that stood in an output directory before the one that stands
// there now. To make the next tree of it takes as many steps as files changed,
// where a new tree takes a link for every file.
type Spare struct {
	// Dir is where it is kept: a directory of ours alone, on the file system of
	// the output directory. It need not exist.
	Dir string
	// Stale are the files in which it differs from what stands in the output
	// directory.
	Stale []string
}

// borrow takes the spare tree away under the name of the next one, so that a run
// that is killed leaves none that is half changed. It returns false when there is
// none to be had.
func (s *Spare) borrow(next string) bool {
	if s == nil || s.Dir == "" {
		return false
	}
	if err := os.Remove(next); err != nil { // made empty by MkdirTemp
		return false
	}
	if os.Rename(s.Dir, next) == nil {
		return true
	}
	_ = os.RemoveAll(s.Dir) // of another file system, or not there
	_ = os.Mkdir(next, 0o700)
	return false
}

// keep makes the tree that was replaced the spare one.
func (s *Spare) keep(old string, stale []Difference) {
	if s == nil || s.Dir == "" {
		return
	}
	s.Stale = nil
	if os.MkdirAll(filepath.Dir(s.Dir), 0o700) != nil || os.Rename(old, s.Dir) != nil {
		return
	}
	for _, d := range stale {
		s.Stale = append(s.Stale, d.Path)
	}
}

// renew makes the next tree of the spare one: what differs is written, linked or
// removed, and the rest stands there already.
func (t *Tree) renew(next string, files []File, differences []Difference, stale []string) (map[string]Stamp, error) {
	changed := make(map[string]bool, len(differences))
	touch := make(map[string]bool, len(differences)+len(stale))
	for _, d := range differences {
		changed[d.Path], touch[d.Path] = true, true
	}
	for _, name := range stale {
		touch[name] = true
	}
	wanted := make(map[string]File, len(touch))
	stamps := make(map[string]Stamp, len(files))
	for _, f := range files {
		if touch[f.Path] {
			wanted[f.Path] = f
		}
		stamps[f.Path] = t.stamps[f.Path]
	}
	for name := range touch {
		if !fs.ValidPath(name) {
			return nil, errors.New("the spare tree cannot be used")
		}
		there := filepath.Join(next, filepath.FromSlash(name))
		if err := os.Remove(there); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		f, stays := wanted[name]
		if !stays {
			removeEmpty(next, path.Dir(name))
			continue
		}
		if err := os.MkdirAll(filepath.Dir(there), 0o755); err != nil {
			return nil, err
		}
		if !changed[name] {
			if err := os.Link(filepath.Join(t.dir, filepath.FromSlash(name)), there); err != nil {
				return nil, err
			}
			continue
		}
		stamp, err := writeFile(there, f.Data)
		if err != nil {
			return nil, err
		}
		stamps[name] = stamp
	}
	return stamps, nil
}

// removeEmpty removes a directory below root, and those above it, as long as
// they are empty.
func removeEmpty(root, dir string) {
	for dir != "." && os.Remove(filepath.Join(root, filepath.FromSlash(dir))) == nil {
		dir = path.Dir(dir)
	}
}

func writeFile(name string, data []byte) (Stamp, error) {
	if err := os.WriteFile(name, data, 0o644); err != nil {
		return Stamp{}, err
	}
	info, err := os.Lstat(name)
	if err != nil {
		return Stamp{}, err
	}
	return Stamp{info.Size(), info.ModTime().UnixNano()}, nil
}
