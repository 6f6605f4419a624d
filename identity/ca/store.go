package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/atomicfile"
	"github.com/meshc/meshc/compiler/publickey"
	"github.com/meshc/meshc/compiler/secret"
)

// The files of an authority's directory. Each generation has a directory named by
// its number; authority.json says which of them sign and are trusted, and is written
// last.
const (
	stateFile        = "authority.json"
	joinKeyFile      = "join.key"
	usedDir          = "used" // join tokens that were used
	rootFile         = "root.crt"
	rootKeyFile      = "root.key"
	intermediateFile = "intermediate.crt"
	keyFile          = "intermediate.key"
	lastFile         = "last"   // when the last leaf ends
	makingFile       = "making" // while an authority is made
)

const joinKeySize = 32 // bytes

// state is authority.json.
type state struct {
	// Signing is the generation that signs; Trusted are those whose roots are in the
	// bundle, the oldest first.
	Signing int   `json:"signing"`
	Trusted []int `json:"trusted"`
	// Since is when this became so.
	Since time.Time `json:"since"`
}

// Exists reports whether the directory contains an authority, so that [Open] would not create one.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, stateFile))
	return !errors.Is(err, fs.ErrNotExist)
}

// Open reads the authority in a directory, or creates one there. The directory gets the mode 0700 and its key files
// 0600. If the passphrase is not empty, the root's key is encrypted with it (age, scrypt); that key is needed only to
// create an intermediate.
//
// If the authority exists, the passphrase must be that of its root's key; otherwise Open returns [ErrPassphrase]. A
// key that is not encrypted yet is encrypted.
func Open(dir string, passphrase secret.Value) (*Authority, error) {
	if !Exists(dir) {
		if err := initialise(dir, passphrase); err != nil {
			return nil, err
		}
	}
	a := &Authority{dir: dir}
	if err := a.Reload(); err != nil {
		return nil, err
	}
	if passphrase.IsZero() {
		return a, nil
	}
	return a, a.seal(passphrase)
}

// Reload reads the authority again from its directory or store, where another process may have changed it. If this
// fails, it returns an error and the authority stays as it was.
func (a *Authority) Reload() error {
	if a.dir == "" {
		kept, _, err := a.load()
		if err != nil {
			return err
		}
		return a.take(kept)
	}
	info, err := os.Stat(a.dir)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s can be written by others: its mode is %04o and must be 0700", a.dir, info.Mode().Perm())
	}
	return a.take(directory(a.dir))
}

// files reads the files of an authority, by their names below the authority's directory.
type files interface {
	read(name string) ([]byte, error)
	// secret reads a file. It returns an error if other users may read it.
	secret(name string) (secret.Value, error)
	// at returns the place of a file, for messages to administrators.
	locate(name string) string
}

// directory is an authority's directory.
type directory string

func (d directory) locate(name string) string {
	return filepath.Join(string(d), filepath.FromSlash(name))
}
func (d directory) read(name string) ([]byte, error)         { return os.ReadFile(d.locate(name)) }
func (d directory) secret(name string) (secret.Value, error) { return readSecret(d.locate(name)) }

// take sets the authority to the state in the files.
func (a *Authority) take(f files) error {
	s, known, err := readState(f)
	if err != nil {
		return err
	}
	key, err := f.secret(joinKeyFile)
	if err != nil {
		return err
	}
	if len(key.Reveal()) != joinKeySize {
		return fmt.Errorf("%s is incomplete", f.locate(joinKeyFile))
	}
	revoked, err := readRevoked(f)
	if err != nil {
		return err
	}
	levers, err := f.read(leversFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state, a.known, a.joinKey, a.revoked, a.levers = s, known, key, revoked, levers
	return nil
}

// readState reads how far an authority is, and the generations that are trusted.
func readState(f files) (state, map[int]*generation, error) {
	var s state
	data, err := f.read(stateFile)
	if err != nil {
		return s, nil, err
	}
	if err := json.Unmarshal(data, &s); err != nil || len(s.Trusted) == 0 {
		return s, nil, fmt.Errorf("%s is incomplete", f.locate(stateFile))
	}
	known := map[int]*generation{}
	for _, n := range s.Trusted {
		if known[n], err = readGeneration(f, n); err != nil {
			return s, nil, err
		}
	}
	if known[s.Signing] == nil {
		return s, nil, fmt.Errorf("%s: the signing certificate is not trusted", f.locate(stateFile))
	}
	return s, known, nil
}

func (a *Authority) generation(n int) string { return filepath.Join(a.dir, strconv.Itoa(n)) }

// inGeneration is the name of a generation's file below the authority's directory.
func inGeneration(number int, name string) string { return strconv.Itoa(number) + "/" + name }

func readGeneration(f files, number int) (*generation, error) {
	root, err := readCertificate(f, inGeneration(number, rootFile))
	if err != nil {
		return nil, err
	}
	intermediate, err := readCertificate(f, inGeneration(number, intermediateFile))
	if err != nil {
		return nil, err
	}
	key, err := readKey(f, inGeneration(number, keyFile))
	if err != nil {
		return nil, err
	}
	if !key.PublicKey.Equal(intermediate.PublicKey) {
		return nil, fmt.Errorf("%s: the key is not that of %s", f.locate(inGeneration(number, keyFile)), intermediateFile)
	}
	if err := intermediate.CheckSignatureFrom(root); err != nil {
		return nil, fmt.Errorf("%s: %s did not sign %s: %w", f.locate(inGeneration(number, intermediateFile)), rootFile,
			intermediateFile, err)
	}
	g := &generation{number: number, root: root, intermediate: intermediate, key: key}
	if data, err := f.read(inGeneration(number, lastFile)); err == nil {
		if g.last, err = time.Parse(time.RFC3339, strings.TrimSpace(string(data))); err != nil {
			return nil, fmt.Errorf("%s holds no time", f.locate(inGeneration(number, lastFile)))
		}
	}
	return g, nil
}

func initialise(dir string, passphrase secret.Value) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	making := filepath.Join(dir, makingFile)
	if _, err := os.Lstat(making); err != nil { // else it was left half made, and nobody trusts it
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if _, err := strconv.Atoi(e.Name()); err == nil || e.Name() == joinKeyFile {
				return fmt.Errorf(
					"%s has keys of an authority and no %s: put that back, or name a directory that is empty", dir,
					stateFile)
			}
		}
		if err := writeFile(making, nil, 0o600); err != nil {
			return err
		}
	}
	if err := writeGeneration(dir, 1, passphrase); err != nil {
		return err
	}
	key, err := newJoinKey()
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, joinKeyFile), key.Reveal(), 0o600); err != nil {
		return err
	}
	if err := writeState(dir, state{Signing: 1, Trusted: []int{1}, Since: time.Now().UTC()}); err != nil {
		return err
	}
	return os.Remove(making)
}

// writeGeneration creates a root and an intermediate below the directory. They are not used until authority.json
// names them.
func writeGeneration(dir string, number int, passphrase secret.Value) error {
	g, rootKey, err := generate(number)
	if err != nil {
		return err
	}
	rootPEM, err := encodeKey(rootKey)
	if err != nil {
		return err
	}
	if rootPEM, err = encrypt(rootPEM, passphrase); err != nil {
		return err
	}
	keyPEM, err := encodeKey(g.key)
	if err != nil {
		return err
	}
	at := filepath.Join(dir, strconv.Itoa(number))
	if err := os.MkdirAll(at, 0o700); err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		rootKeyFile: rootPEM, rootFile: encode(g.root),
		intermediateFile: encode(g.intermediate), keyFile: keyPEM,
	} {
		if err := writeFile(filepath.Join(at, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func writeState(dir string, s state) error {
	data, err := s.encode()
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, stateFile), data, 0o600)
}

func (s *state) encode() ([]byte, error) {
	data, err := json.MarshalIndent(s, "", "  ")
	return append(data, '\n'), err
}

// remember records until when a leaf of the generation may be valid.
func (a *Authority) remember(g *generation, until time.Time, lifetime time.Duration) error {
	if a.dir == "" {
		return a.rememberShared(g.number, until, lifetime)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !until.After(g.last) {
		return nil
	}
	err := writeFile(filepath.Join(a.generation(g.number), lastFile), encodeTime(until), 0o600)
	if err == nil {
		g.last = until
	}
	return err
}

func encodeTime(t time.Time) []byte { return []byte(t.UTC().Format(time.RFC3339) + "\n") }

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func readCertificate(f files, name string) (*x509.Certificate, error) {
	data, err := f.read(name)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s holds no certificate", f.locate(name))
	}
	return publickey.ParseCertificate(block.Bytes)
}

// readSecret reads a file. It returns an error if other users may read it.
func readSecret(name string) (secret.Value, error) {
	info, err := os.Stat(name)
	if err != nil {
		return secret.Value{}, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return secret.Value{}, fmt.Errorf("%s can be read by others: its mode is %04o and must be 0600", name,
			info.Mode().Perm())
	}
	data, err := os.ReadFile(name)
	return secret.New(data), err
}

func readKey(f files, name string) (*ecdsa.PrivateKey, error) {
	data, err := f.secret(name)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data.Reveal())
	if block == nil {
		return nil, fmt.Errorf("%s holds no key", f.locate(name))
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s holds no key", f.locate(name)) // the error could quote it
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds a key of another kind", f.locate(name))
	}
	return ec, nil
}

// ReadPassphrase reads a passphrase from a file. It returns an error if other users may read the file.
func ReadPassphrase(name string) (secret.Value, error) {
	v, err := readSecret(name)
	if err != nil {
		return v, err
	}
	text := strings.TrimRight(string(v.Reveal()), "\r\n")
	if text == "" {
		return v, fmt.Errorf("%s holds no passphrase", name)
	}
	return secret.New([]byte(text)), nil
}

func newJoinKey() (secret.Value, error) {
	key := make([]byte, joinKeySize)
	_, err := io.ReadFull(rand.Reader, key)
	return secret.New(key), err
}

// writeFile writes a file so that it survives a crash of the machine.
func writeFile(name string, data []byte, mode fs.FileMode) error {
	return atomicfile.Replace(name, mode, func(f *os.File) error {
		_, err := f.Write(data)
		return errors.Join(err, f.Sync())
	})
}
