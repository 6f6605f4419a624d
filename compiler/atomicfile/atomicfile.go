// Package atomicfile writes files as a whole: who reads one sees what was there before or all that is there now, also
// when the writer is killed.
package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace puts a new file in the place of name, or of nothing, with what fill writes to it. Its directory is there.
// When fill fails nothing has changed, and its error is returned. Of what must outlive a crash of the machine, fill
// calls Sync.
func Replace(name string, mode fs.FileMode, fill func(f *os.File) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	if err = f.Chmod(mode); err == nil {
		err = fill(f)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// Keep writes a file of a cache, and makes its directories, for this user alone. A failure is not an error: the next
// run takes longer.
func Keep(name string, data []byte) {
	if os.MkdirAll(filepath.Dir(name), 0o700) != nil {
		return
	}
	_ = Replace(name, 0o600, func(f *os.File) error {
		_, err := f.Write(data)
		return err
	})
}
