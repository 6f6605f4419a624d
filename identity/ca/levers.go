package ca

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
)

// leversFile has what operators have changed for a time (meshc lever). It stands beside the revocations, as all servers
// of a mesh share it and follow it. The authority does not read it.
const leversFile = "levers.json"

// Levers are what [Authority.ChangeLevers] kept last; nil for nothing.
func (a *Authority) Levers() []byte {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return bytes.Clone(a.levers)
}

// ChangeLevers calls a function that makes what is kept from what was, nil for nothing. It may be called more than
// once, where another server changes the same.
func (a *Authority) ChangeLevers(change func(was []byte) ([]byte, error)) error {
	return a.changeFile(leversFile, func(f files) ([]byte, error) {
		was, err := f.read(leversFile)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		return change(was)
	})
}

// changeFile replaces one file of the directory or the store by what a function makes of all.
func (a *Authority) changeFile(name string, changed func(files) ([]byte, error)) error {
	if a.dir == "" {
		return a.change(func(files map[string][]byte) error {
			data, err := changed(kept{files, a.store})
			files[name] = data
			return err
		})
	}
	unlock, err := a.lock()
	if err != nil {
		return err
	}
	defer unlock()
	data, err := changed(directory(a.dir))
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(a.dir, name), data, 0o600); err != nil {
		return err
	}
	return a.Reload()
}
