package ca

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/meshc/meshc/compiler/secret"
)

// ErrPassphrase is returned if the root's key is encrypted with another passphrase.
var ErrPassphrase = errors.New("the root's key is encrypted, and not by this passphrase")

// seal requires that the key of each root is encrypted with the passphrase, and encrypts keys that are not encrypted.
func (a *Authority) seal(passphrase secret.Value) error {
	return a.rootKeys(passphrase, func(name string, key secret.Value) error {
		encrypted, err := encrypt(key.Reveal(), passphrase)
		if err != nil {
			return err
		}
		return writeFile(name, encrypted, 0o600)
	})
}

// mayAdd returns an error if the key of a new root would be protected less than that of the present one.
func (a *Authority) mayAdd(passphrase secret.Value) error {
	return a.rootKeys(passphrase, func(string, secret.Value) error { return nil })
}

// rootKeys returns an error if the passphrase does not decrypt the encrypted keys of roots. It calls a function for
// each key that is not encrypted.
func (a *Authority) rootKeys(passphrase secret.Value, plain func(name string, key secret.Value) error) error {
	for _, n := range a.generations() {
		name := filepath.Join(a.generation(n), rootKeyFile)
		key, err := readSecret(name)
		if err != nil {
			return err
		}
		if !sealed(key) {
			err = plain(name, key)
		} else if err = opens(key, passphrase); err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// generations returns the numbers of the trusted generations.
func (a *Authority) generations() []int {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return slices.Clone(a.state.Trusted)
}

func sealed(key secret.Value) bool {
	return bytes.HasPrefix(key.Reveal(), []byte(armor.Header))
}

func opens(key, passphrase secret.Value) error {
	if passphrase.IsZero() {
		return fmt.Errorf("%w: none is given", ErrPassphrase)
	}
	identity, err := age.NewScryptIdentity(string(passphrase.Reveal()))
	if err != nil {
		return ErrPassphrase
	}
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(key.Reveal())), identity)
	if err != nil {
		return ErrPassphrase
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return ErrPassphrase
	}
	return nil
}

// workFactor is the logarithm of what a guess of a passphrase costs, as scrypt counts it: age's default, one second.
// Tests of other things lower it.
var workFactor = 18

// encrypt encrypts the data; without a passphrase it returns the data itself.
func encrypt(data []byte, passphrase secret.Value) ([]byte, error) {
	if passphrase.IsZero() {
		return data, nil
	}
	recipient, err := age.NewScryptRecipient(string(passphrase.Reveal()))
	if err != nil {
		return nil, err
	}
	recipient.SetWorkFactor(workFactor)
	var out strings.Builder
	armored := armor.NewWriter(&out)
	w, err := age.Encrypt(armored, recipient)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(data)
	if err := errors.Join(err, w.Close(), armored.Close()); err != nil {
		return nil, err
	}
	return []byte(out.String()), nil
}
