package load

import (
	"bytes"
	"io/fs"
	"path"
	"strings"

	"cuelang.org/go/cue/load"
)

// virtualRoot is where CUE's loader believes the module to be. There is no such
// directory: what the loader sees is what was read, and it never looks at the
// disk, where a symbolic link could lead it out of the module.
const virtualRoot = "/meshc:module"

// overlay are the module's files as CUE's loader takes them.
func (m *Module) overlay() map[string]load.Source {
	sources := make(map[string]load.Source, len(m.files))
	for name, f := range m.files {
		if !f.bad {
			data := f.data
			if strings.HasPrefix(name, schemaCopy) {
				data = names(name, data)
			}
			sources[path.Join(virtualRoot, name)] = load.FromBytes(data)
		}
	}
	return sources
}

// moduleFS is the module's CUE files as they were read.
type moduleFS struct{ m *Module }

// Open opens a file that was read.
func (f moduleFS) Open(name string) (fs.File, error) {
	file, ok := f.m.files[name]
	if !ok || file.bad {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &openFile{Reader: bytes.NewReader(file.data), info: file.info}, nil
}

type openFile struct {
	*bytes.Reader
	info fs.FileInfo
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }
