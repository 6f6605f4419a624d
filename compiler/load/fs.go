package load

import (
	"bytes"
	"io"
	"io/fs"
	"path"
)

// moduleFS is the module as CUE's loader sees it: the files that were read, and
// for anything else (what @embed asks for) the directory itself, which symbolic
// links cannot leave.
type moduleFS struct{ m *Module }

// Open opens a file that was read, or one below the module's root.
func (f moduleFS) Open(name string) (fs.File, error) {
	if entries, ok := f.m.dirs[name]; ok {
		return &openDir{name: name, entries: entries, m: f.m}, nil
	}
	file, ok := f.m.files[name]
	if !ok {
		return f.m.root.FS().Open(name)
	}
	if file.bad {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return &openFile{Reader: bytes.NewReader(file.data), info: file.info}, nil
}

// ReadFile is the content of a file that was read.
func (f moduleFS) ReadFile(name string) ([]byte, error) {
	if file, ok := f.m.files[name]; ok && !file.bad {
		return bytes.Clone(file.data), nil
	}
	r, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, maxFileSize))
}

// ReadDir lists a directory as it was when the module was read.
func (f moduleFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if entries, ok := f.m.dirs[name]; ok {
		return entries, nil
	}
	return fs.ReadDir(f.m.root.FS(), name)
}

// Stat describes a file without opening it.
func (f moduleFS) Stat(name string) (fs.FileInfo, error) {
	if file, ok := f.m.files[name]; ok && !file.bad {
		return file.info, nil
	}
	return f.m.root.Stat(path.Clean(name))
}

type openFile struct {
	*bytes.Reader
	info fs.FileInfo
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }

type openDir struct {
	name    string
	entries []fs.DirEntry
	m       *Module
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.m.root.Stat(d.name) }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: fs.ErrInvalid}
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		entries := d.entries
		d.entries = nil
		return entries, nil
	}
	if len(d.entries) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.entries))
	entries := d.entries[:n]
	d.entries = d.entries[n:]
	return entries, nil
}
