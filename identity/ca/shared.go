package ca

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/meshc/meshc/compiler/secret"
)

// Store stores the files of an authority that several servers share. All files together are one value with one
// version. The private key of the root is not among them: it is discarded after it has signed its intermediate.
type Store interface {
	// Load returns the files by name, and their version. It returns no files if the authority does not exist yet.
	Load(ctx context.Context) (files map[string][]byte, version string, err error)
	// Save replaces the files of the given version by others. It returns [ErrChanged] if the stored version is
	// another one.
	Save(ctx context.Context, files map[string][]byte, version string) error
	// String returns the place where the files are stored, for messages.
	String() string
}

// ErrChanged is returned if another process has changed the authority in the meantime.
var ErrChanged = errors.New("another process has changed the authority meanwhile")

const (
	// storeTime limits the time of one request to the store.
	storeTime = 10 * time.Second
	// maxChanges is how often a change is tried again after another process has changed the store.
	maxChanges = 20
)

// Shared returns the authority in a store, and creates it if there is none. If several servers create one at the same
// time, all get the same authority.
func Shared(store Store) (*Authority, error) {
	a := &Authority{store: store}
	return a, a.change(func(files map[string][]byte) error {
		if len(files) > 0 {
			return nil
		}
		g, _, err := generate(1)
		if err != nil {
			return err
		}
		key, err := newJoinKey()
		if err != nil {
			return err
		}
		files[joinKeyFile] = key.Reveal()
		return errors.Join(putGeneration(files, g),
			putState(files, state{Signing: 1, Trusted: []int{1}, Since: time.Now().UTC()}))
	})
}

// kept are the files of an authority in a store.
type kept struct {
	files map[string][]byte
	store Store
}

func (k kept) locate(name string) string { return fmt.Sprintf("%s in %s", name, k.store) }

func (k kept) read(name string) ([]byte, error) {
	data, ok := k.files[name]
	if !ok {
		return nil, &fs.PathError{Op: "read", Path: k.locate(name), Err: fs.ErrNotExist}
	}
	return data, nil
}

func (k kept) secret(name string) (secret.Value, error) {
	data, err := k.read(name)
	return secret.New(data), err
}

func (a *Authority) load() (kept, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	files, version, err := a.store.Load(ctx)
	return kept{files, a.store}, version, err
}

// change calls a function that changes the files, saves them, and takes over the result. If another process has
// changed the store in the meantime, it starts again, so the function may be called several times.
func (a *Authority) change(f func(files map[string][]byte) error) error {
	for range maxChanges {
		before, version, err := a.load()
		if err != nil {
			return err
		}
		after := kept{maps.Clone(before.files), a.store}
		if after.files == nil {
			after.files = map[string][]byte{}
		}
		if err := f(after.files); err != nil {
			return err
		}
		if maps.EqualFunc(before.files, after.files, bytes.Equal) {
			return a.take(after)
		}
		ctx, cancel := context.WithTimeout(context.Background(), storeTime)
		err = a.store.Save(ctx, after.files, version)
		cancel()
		if errors.Is(err, ErrChanged) {
			continue
		}
		if err != nil {
			return err
		}
		return a.take(after)
	}
	return ErrChanged
}

func putState(files map[string][]byte, s state) error {
	data, err := s.encode()
	files[stateFile] = data
	return err
}

func putGeneration(files map[string][]byte, g *generation) error {
	key, err := encodeKey(g.key)
	files[inGeneration(g.number, rootFile)] = encode(g.root)
	files[inGeneration(g.number, intermediateFile)] = encode(g.intermediate)
	files[inGeneration(g.number, keyFile)] = key
	return err
}

// rememberShared records until when a leaf may be valid, with a quarter of a lifetime added, so that few leaves
// change the store.
func (a *Authority) rememberShared(number int, until time.Time, lifetime time.Duration) error {
	a.mu.RLock()
	known := a.known[number]
	a.mu.RUnlock()
	if known != nil && !until.After(known.last) {
		return nil
	}
	return a.change(func(files map[string][]byte) error {
		_, known, err := readState(kept{files, a.store})
		if err != nil {
			return err
		}
		switch g := known[number]; {
		case g == nil:
			return fmt.Errorf("the root that signs is not trusted any more: %w", ErrChanged)
		case until.After(g.last):
			files[inGeneration(number, lastFile)] = encodeTime(until.Add(lifetime / 4))
		}
		return nil
	})
}

// firstShared reports whether a join token is used for the first time, and records it.
func (a *Authority) firstShared(name string, expiry, now time.Time) (first bool, err error) {
	err = a.change(func(files map[string][]byte) error {
		for other, data := range files {
			if !strings.HasPrefix(other, usedDir+"/") {
				continue
			}
			if until, err := time.Parse(time.RFC3339, strings.TrimSpace(string(data))); err == nil &&
				now.Sub(until) > MaxTokenLife {
				delete(files, other)
			}
		}
		name := usedDir + "/" + name
		if _, used := files[name]; used {
			first = false
			return nil
		}
		first, files[name] = true, encodeTime(expiry)
		return nil
	})
	return first && err == nil, err
}

// advanceShared goes on to the next stage.
func (a *Authority) advanceShared(now time.Time) (Rotation, error) {
	err := a.change(func(files map[string][]byte) error {
		s, known, err := readState(kept{files, a.store})
		if err != nil {
			return err
		}
		next, err := s.next(known, now)
		if err != nil {
			return err
		}
		if next.made != 0 {
			g, _, err := generate(next.made)
			if err != nil {
				return err
			}
			if err := putGeneration(files, g); err != nil {
				return err
			}
		}
		if next.gone != 0 {
			maps.DeleteFunc(files, func(name string, _ []byte) bool {
				return strings.HasPrefix(name, inGeneration(next.gone, ""))
			})
		}
		return putState(files, next.state)
	})
	return a.Rotation(), err
}

// memory is the store of an authority that exists only in this process.
type memory struct {
	mu      sync.Mutex
	files   map[string][]byte
	version int
}

func (m *memory) String() string { return "memory" }

func (m *memory) Load(context.Context) (map[string][]byte, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.files, fmt.Sprint(m.version), nil
}

func (m *memory) Save(_ context.Context, files map[string][]byte, version string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if version != fmt.Sprint(m.version) {
		return ErrChanged
	}
	m.files, m.version = files, m.version+1
	return nil
}
