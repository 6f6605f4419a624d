// Package sink puts files where they belong: into a directory that it owns, or
// nowhere, to compare.
//
// A directory is replaced as a whole: the new tree is built beside it, with hard
// links to what did not change, and the two are exchanged in one step of the
// file system. Whatever stops the work before leaves the directory as it was.
package sink

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meshc/meshc/render/manifest"
)

// Stamp is what the file system says of a file that a sink wrote: as long as it
// is the same, so is the content.
type Stamp struct {
	Size, ModTime int64
}

// File is a file to write, or one to keep: Data is nil when the file that
// stands there is the one wanted.
type File struct {
	Path string
	Data []byte
}

// ForeignError is a directory with files that no sink wrote.
type ForeignError struct {
	Dir   string
	Files []string // below Dir, sorted, the first ten; none when Dir is a file itself
}

const maxForeign = 10

func (e *ForeignError) Error() string {
	return fmt.Sprintf("%s holds files that meshc did not write: %s", e.Dir, strings.Join(e.Files, ", "))
}

// Tree is what stands in an output directory.
type Tree struct {
	name   string // as it was given
	dir    string
	exists bool
	stamps map[string]Stamp
}

// Open looks at an output directory. It need not exist; what it holds besides a
// sink's own files is a [ForeignError]. Known are stamps of files that an
// earlier run wrote, which need no second look.
func Open(dir string, known map[string]Stamp) (*Tree, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if real, err := filepath.EvalSymlinks(absolute); err == nil {
		absolute = real
	}
	t := &Tree{name: dir, dir: absolute, stamps: map[string]Stamp{}}
	info, err := os.Stat(absolute)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return t, nil
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read: %w", dir, because(err))
	case !info.IsDir():
		return nil, &ForeignError{Dir: dir}
	}
	t.exists = true
	var foreign []string
	err = filepath.WalkDir(absolute, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		below, err := filepath.Rel(absolute, name)
		if err != nil {
			return err
		}
		below = filepath.ToSlash(below)
		info, err := entry.Info()
		if err != nil {
			return err
		}
		stamp := Stamp{info.Size(), info.ModTime().UnixNano()}
		if known[below] != stamp && !ours(name, entry) {
			if foreign = append(foreign, below); len(foreign) == maxForeign {
				return fs.SkipAll
			}
			return nil
		}
		t.stamps[below] = stamp
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", dir, because(err))
	}
	if len(foreign) > 0 {
		return nil, &ForeignError{Dir: dir, Files: foreign}
	}
	return t, nil
}

// ours reports whether a file begins as those that renderers make.
func ours(name string, entry fs.DirEntry) bool {
	if !entry.Type().IsRegular() {
		return false
	}
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	begin := make([]byte, 256)
	n, err := io.ReadFull(f, begin)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false
	}
	begin = begin[:n]
	return bytes.HasPrefix(begin, []byte(manifest.Header)) ||
		path.Base(name) == "mesh.json" && bytes.HasPrefix(begin, []byte(`{"meshc":`))
}

// Names are the files that stand there, sorted.
func (t *Tree) Names() []string { return slices.Sorted(maps.Keys(t.stamps)) }

// Stamp is the stamp of a file that stands there.
func (t *Tree) Stamp(name string) (Stamp, bool) {
	s, ok := t.stamps[name]
	return s, ok
}

// Has reports whether the file stands there with that stamp.
func (t *Tree) Has(name string, stamp Stamp) bool {
	s, ok := t.stamps[name]
	return ok && s == stamp
}

// Read is the content of a file that stands there.
func (t *Tree) Read(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(t.dir, filepath.FromSlash(name)))
}

// Difference is a file that is not as it should be.
type Difference struct {
	Path string
	// What is "missing", "stale" (it should not be there) or "different".
	What string
}

// Compare lists how the tree differs from the files, sorted by path.
func (t *Tree) Compare(files []File) ([]Difference, error) {
	var out []Difference
	wanted := make(map[string]bool, len(files))
	for _, f := range files {
		wanted[f.Path] = true
		if _, there := t.stamps[f.Path]; !there {
			out = append(out, Difference{f.Path, "missing"})
			continue
		}
		if f.Data == nil {
			continue
		}
		data, err := t.Read(f.Path)
		if err != nil {
			return nil, fmt.Errorf("%s cannot be read: %w", path.Join(t.name, f.Path), because(err))
		}
		if !bytes.Equal(data, f.Data) {
			out = append(out, Difference{f.Path, "different"})
		}
	}
	for name := range t.stamps {
		if !wanted[name] {
			out = append(out, Difference{name, "stale"})
		}
	}
	slices.SortFunc(out, func(a, b Difference) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}
