package ca

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// The names that a certificate directory shows; what they lead to is replaced
// as one.
const (
	leafFile    = "tls.crt"
	leafKeyFile = "tls.key"
	trustFile   = "ca.crt"
	current     = "..data"
)

// Issue makes a key in the directory, has the authority sign it for the
// identity, and puts tls.crt, tls.key and ca.crt there. A certificate that was
// there before is replaced in one step, as a mounted Kubernetes Secret is: the
// names are symbolic links through "..data", and that link is renamed. Whoever
// watches the directory, as Envoy does, sees one change.
func Issue(dir string, a *Authority, id spiffeid.ID, lifetime time.Duration) error {
	chain, key, err := a.sign(id, lifetime)
	if err != nil {
		return err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return err
	}
	if err := publish(dir, map[string][]byte{leafFile: chain, leafKeyFile: keyPEM, trustFile: a.Bundle()}); err != nil {
		return fmt.Errorf("certificate of %s: %w", id, err)
	}
	return nil
}

// publish replaces the files of a directory in one step.
func publish(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	next, err := os.MkdirTemp(dir, "..")
	if err != nil {
		return err
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(next, name), data, 0o600); err != nil {
			return errors.Join(err, os.RemoveAll(next))
		}
	}
	last, err := os.Readlink(filepath.Join(dir, current))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, os.RemoveAll(next))
	}
	link := next + ".link"
	if err := os.Symlink(filepath.Base(next), link); err != nil {
		return errors.Join(err, os.RemoveAll(next))
	}
	if err := os.Rename(link, filepath.Join(dir, current)); err != nil {
		return errors.Join(err, os.Remove(link), os.RemoveAll(next))
	}
	for name := range files {
		err := os.Symlink(filepath.Join(current, name), filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if last != "" {
		return os.RemoveAll(filepath.Join(dir, filepath.Base(last)))
	}
	return nil
}
