package ca

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/secret"
)

// TestRootsKeysStayEncrypted wants no root's key to be written less well kept than the
// one before it, and one that was not encrypted to be when a passphrase is given.
func TestRootsKeysStayEncrypted(t *testing.T) {
	cheapPassphrases(t)
	dir, pass, other := t.TempDir(), secret.New([]byte("correct horse")), secret.New([]byte("battery staple"))
	encrypted := func(generation string, want bool) {
		t.Helper()
		key, err := readSecret(filepath.Join(dir, generation, rootKeyFile))
		if err != nil || sealed(key) != want {
			t.Errorf("the key of root %s is encrypted: %t, %v", generation, sealed(key), err)
		}
	}
	if _, err := Open(dir, secret.Value{}); err != nil {
		t.Fatal(err)
	}
	encrypted("1", false)
	a, err := Open(dir, pass)
	if err != nil {
		t.Fatal(err)
	}
	encrypted("1", true)
	if _, err := Open(dir, other); !errors.Is(err, ErrPassphrase) {
		t.Errorf("another passphrase: %v", err)
	}
	if _, err := Open(dir, secret.Value{}); err != nil { // signing needs it not
		t.Error(err)
	}
	for name, p := range map[string]secret.Value{"none": {}, "another": other} {
		if now, err := a.Advance(p, time.Now()); !errors.Is(err, ErrPassphrase) || now.Stage != Steady {
			t.Errorf("%s: %s, %v", name, now.Stage, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "2")); err == nil {
		t.Error("a root was made")
	}
	if _, err := a.Advance(pass, time.Now()); err != nil {
		t.Fatal(err)
	}
	encrypted("2", true)
}

// TestDirectoryThatOthersMayChange is refused, and so is a join key that is not whole.
func TestDirectoryThatOthersMayChange(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir, secret.Value{}); err != nil {
		t.Fatal(err)
	}
	must(t, os.Chmod(dir, 0o777))
	if _, err := Open(dir, secret.Value{}); err == nil {
		t.Error("others may write to the directory")
	}
	must(t, os.Chmod(dir, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, joinKeyFile), nil, 0o600))
	if _, err := Open(dir, secret.Value{}); err == nil {
		t.Error("the join key is empty")
	}
}
