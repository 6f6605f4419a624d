package load

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/limit"
	"github.com/meshc/meshc/compiler/source"
)

// maxFileSize limits one CUE file, in bytes. A mesh is written by people, so a larger file is a mistake or an attack.
const maxFileSize = 8 << 20

// What bounds a module: files of CUE, bytes of all of them, entries of all its directories, and directories in one
// another. A mesh of ten thousand services has some 20 MiB in as many files.
const (
	maxModuleFiles   = 100_000
	maxModuleSize    = 64 << 20
	maxModuleEntries = 1_000_000
	maxDepth         = 64
)

// nonblock makes the opening of a pipe return at once, instead of waiting for a writer.
const nonblock = syscall.O_NONBLOCK

// file is one CUE file of the module.
type file struct {
	path string
	// target is the file that a symbolic link leads to, and otherwise the same path.
	target string
	data   []byte
	hash   [sha256.Size]byte
	pkg    string // name of its package, "" when it has none
	info   fs.FileInfo
	bad    bool // already reported
}

// Read reads every CUE file of the module into memory. Like cue, it skips nested modules and directories whose names
// begin with "." or "_". It returns findings about files that it cannot use.
func (m *Module) Read() diag.List {
	r := reader{Module: m}
	r.side.SetLimit(runtime.GOMAXPROCS(0))
	r.readDir(m.root, ".")
	_ = r.side.Wait() // what is wrong is in the list
	r.found.Sort()
	r.found.Add(m.readModuleFile()...)
	return r.found
}

// reader reads directories side by side.
type reader struct {
	*Module
	side  errgroup.Group
	mu    sync.Mutex // for what it finds and the module's maps, and what it has read
	found diag.List
	// read is how much there was.
	read struct{ files, size, entries int64 }
	full bool // it is too much, and has been told
}

func (r *reader) add(d diag.Diagnostic) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found.Add(d)
}

// count adds files, bytes and entries to the totals, and reports whether the totals are within the limits. The place
// at which a limit is exceeded is reported once.
func (r *reader) count(name string, files, size, entries int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read.files += files
	r.read.size += size
	r.read.entries += entries
	what := ""
	switch {
	case r.full:
		return false
	case r.read.files > maxModuleFiles:
		what = fmt.Sprintf("%d files of CUE", maxModuleFiles)
	case r.read.size > maxModuleSize:
		what = limit.Bytes(maxModuleSize) + " of CUE"
	case r.read.entries > maxModuleEntries:
		what = fmt.Sprintf("%d files and directories", maxModuleEntries)
	case strings.Count(name, "/") >= maxDepth:
		what = fmt.Sprintf("%d nested directories", maxDepth)
	default:
		return true
	}
	r.full, r.broken = true, true
	r.found.Add(diag.New(diag.ModuleTooLarge, "", "the mesh repository has more than "+what,
		source.Position{File: name}).
		WithHint("a mesh is written by people: remove what is generated, or keep it in a directory whose name begins with \".\" or \"_\", which is not read"))
	return false
}

// readDir reads an open directory. (With a path from the module's root, the kernel would resolve that path again for
// each file.)
func (r *reader) readDir(open *os.Root, dir string) {
	entries, err := fs.ReadDir(open.FS(), ".")
	if err != nil {
		r.add(unreadable(dir, err))
		return
	}
	if !r.count(dir, 0, 0, int64(len(entries))) {
		return
	}
	if dir != "." && path.Base(dir) != "cue.mod" && slices.ContainsFunc(entries, isModuleDir) {
		return
	}
	var kept []fs.DirEntry
	files := map[string]*file{}
	for _, entry := range entries {
		name := path.Join(dir, entry.Name())
		hidden := strings.HasPrefix(entry.Name(), ".") || strings.HasPrefix(entry.Name(), "_")
		switch {
		case hidden:
			continue
		case entry.IsDir():
			below, err := open.OpenRoot(entry.Name())
			if err != nil {
				r.add(unreadable(name, err))
				continue
			}
			read := func() error {
				r.readDir(below, name)
				return below.Close()
			}
			if !r.side.TryGo(read) {
				_ = read() // nothing was written, so nothing can be lost
			}
		case strings.HasSuffix(entry.Name(), ".cue"):
			f, problem := r.readFile(open, entry, name)
			if f != nil && !r.count(name, 1, int64(len(f.data)), 0) {
				return
			}
			if problem == nil {
				problem = f.external()
			}
			if name == localModuleFile {
				problem = replaces(name)
			}
			if problem == nil && f.pkg == "" && !strings.HasPrefix(name, "cue.mod/") && f.says() {
				r.add(diag.New(diag.NoPackage, "", name+" has no package clause, so it does not belong to any unit",
					source.Position{File: name, Line: 1, Column: 1}).
					WithHint("begin it with the package of the other files in its directory"))
			}
			if problem != nil {
				r.add(*problem)
				f = &file{path: name, bad: true}
			}
			files[name] = f
		}
		kept = append(kept, entry)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dirs[dir] = kept
	maps.Copy(r.files, files)
}

// says reports whether a file has more than comments and blank lines.
func (f *file) says() bool {
	for line := range bytes.Lines(f.data) {
		if line = bytes.TrimSpace(line); len(line) > 0 && !bytes.HasPrefix(line, []byte("//")) {
			return true
		}
	}
	return false
}

func isModuleDir(entry fs.DirEntry) bool { return entry.Name() == "cue.mod" && entry.IsDir() }

// readFile reads a file of the directory that is open. A symbolic link is
// followed as far as it stays in the module; a pipe or a device is not opened.
func (m *Module) readFile(open *os.Root, entry fs.DirEntry, name string) (*file, *diag.Diagnostic) {
	at, target := entry.Name(), name
	if !entry.Type().IsRegular() {
		followed, problem := m.regular(name)
		if problem != nil {
			return nil, problem
		}
		open, at, target = m.root, followed, followed
	}
	r, err := open.OpenFile(at, os.O_RDONLY|nonblock, 0)
	if err != nil {
		d := unreadable(name, err)
		return nil, &d
	}
	defer r.Close()
	info, err := r.Stat()
	if err != nil {
		d := unreadable(name, err)
		return nil, &d
	}
	if info.Size() > maxFileSize {
		return nil, tooLarge(name, info.Size())
	}
	data := make([]byte, 0, info.Size()+1)
	buffer := bytes.NewBuffer(data)
	if _, err := io.Copy(buffer, io.LimitReader(r, maxFileSize+1)); err != nil {
		d := unreadable(name, err)
		return nil, &d
	}
	data = buffer.Bytes()
	if len(data) > maxFileSize {
		return nil, tooLarge(name, int64(len(data)))
	}
	if !utf8.Valid(data) {
		line, column := invalidUTF8(data)
		d := diag.New(diag.InvalidUTF8, "", name+" is not valid UTF-8", source.Position{
			File: name, Line: line,
			Column: column,
		}).
			WithHint("save the file as UTF-8")
		return nil, &d
	}
	if bytes.HasPrefix(data, []byte(lfsPointer)) {
		d := diag.New(diag.NotAsCommitted, "", name+" is a pointer of Git LFS, whose content is in no commit",
			source.Position{File: name, Line: 1, Column: 1}).
			WithHint("keep files of a mesh in Git itself: git lfs untrack")
		return nil, &d
	}
	pkg, problem := packageName(name, data)
	return &file{path: name, target: target, data: data, hash: sha256.Sum256(data), pkg: pkg, info: info}, problem
}

// lfsPointer begins what Git LFS commits in place of a file (Git LFS specification, "The Pointer").
const lfsPointer = "version https://git-lfs.github.com/spec/"

// regular is the regular file that stands at the end of a symbolic link.
func (m *Module) regular(name string) (string, *diag.Diagnostic) {
	target, err := followLink(m.root, name)
	switch {
	case errors.Is(err, errLeaves) || errors.Is(err, errIntoGit):
		d := diag.New(diag.LeavesModule, "", name+" "+err.Error(), source.Position{File: name}).
			WithHint("a mesh is compiled from its own repository alone: copy the file into it")
		return "", &d
	case err != nil:
		d := unreadable(name, err)
		return "", &d
	}
	info, err := m.root.Lstat(target)
	if err != nil {
		d := unreadable(name, err)
		return "", &d
	}
	if !info.Mode().IsRegular() {
		d := diag.New(diag.Unreadable, "", name+" cannot be read: it is not a regular file",
			source.Position{File: name})
		return "", &d
	}
	return target, nil
}

// external refuses a file that reads values from other files (@extern): the mesh must be written in CUE, where a
// reviewer sees it and the cache knows it.
func (f *file) external() *diag.Diagnostic {
	at := bytes.Index(f.data, []byte("@extern("))
	if at < 0 {
		return nil
	}
	before := f.data[:at]
	pos := source.Position{
		File: f.path, Line: 1 + bytes.Count(before, []byte("\n")),
		Column: at - bytes.LastIndexByte(before, '\n'),
	}
	d := diag.New(diag.CUEImport, "", "a mesh takes nothing from files that are not CUE (@extern)", pos).
		WithHint("write it in CUE; cue import turns JSON and YAML into it")
	return &d
}

// localModuleFile has CUE take modules from other directories of the machine (replaceWith).
const localModuleFile = "cue.mod/local-module.cue"

// replaces refuses that file: CUE would read from the disk, and not from what was read of the module.
func replaces(name string) *diag.Diagnostic {
	d := diag.New(diag.LeavesModule, "", name+" takes modules from elsewhere on the machine",
		source.Position{File: name, Line: 1, Column: 1}).
		WithHint("remove it; packages of others stand below cue.mod/pkg")
	return &d
}

func tooLarge(name string, size int64) *diag.Diagnostic {
	d := diag.New(diag.FileTooLarge, "", fmt.Sprintf("%s has %d MiB; a file of a mesh has at most %d MiB", name,
		size>>20, maxFileSize>>20), source.Position{File: name})
	return &d
}

// invalidUTF8 is the place of the first byte that is not UTF-8.
func invalidUTF8(data []byte) (line, column int) {
	at := 0
	for at < len(data) {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size <= 1 {
			break
		}
		at += size
	}
	before := data[:at]
	return 1 + bytes.Count(before, []byte("\n")), at - bytes.LastIndexByte(before, '\n')
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
