package meshfile

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/meshc/meshc/render/manifest"
)

func TestJoinReadsWhatPackWrote(t *testing.T) {
	noise := make([]byte, 3*partSize+17)
	for i := range noise {
		noise[i] = byte(rand.N(256))
	}
	for _, data := range [][]byte{nil, []byte("{}\n"), bytes.Repeat([]byte("service "), 1<<20), noise} {
		dir := t.TempDir()
		parts := pack(t, dir, data)
		got, err := joined(files(dir), int64(len(data)))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes in %d parts became %d: %v", len(data), len(parts), len(got), err)
		}
		for i, part := range parts {
			if len(part.Data) > partSize || i+1 < len(parts) && len(part.Data) != partSize {
				t.Errorf("%s has %d bytes", part.Path, len(part.Data))
			}
		}
		if len(data) > 0 {
			if _, err := joined(files(dir), int64(len(data))-1); err == nil {
				t.Errorf("%d bytes were read past the limit", len(data))
			}
		}
	}
}

func TestJoinRefusesPartsThatDoNotBelongTogether(t *testing.T) {
	for name, spoil := range map[string]func(dir string, parts []manifest.File) error{
		"no part": func(dir string, parts []manifest.File) error {
			for _, part := range parts {
				if err := os.Remove(filepath.Join(dir, part.Path)); err != nil {
					return err
				}
			}
			return nil
		},
		"last part missing": func(dir string, parts []manifest.File) error {
			return os.Remove(filepath.Join(dir, parts[2].Path))
		},
		"a part of another": func(dir string, parts []manifest.File) error {
			other := bytes.Clone(parts[1].Data)
			other[100] ^= 1
			return os.WriteFile(filepath.Join(dir, parts[1].Path), other, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			noise := make([]byte, 2*partSize+1000)
			for i := range noise {
				noise[i] = byte(rand.N(256))
			}
			dir := t.TempDir()
			parts := pack(t, dir, noise)
			if len(parts) != 3 {
				t.Fatalf("%d parts", len(parts))
			}
			if err := spoil(dir, parts); err != nil {
				t.Fatal(err)
			}
			if _, err := joined(files(dir), 1<<30); err == nil {
				t.Error("it was read")
			}
		})
	}
}

// Nobody prunes what kubectl apply left.
func TestJoinPassesOverPartsThatAreLeft(t *testing.T) {
	dir := t.TempDir()
	parts := pack(t, dir, []byte("mesh"))
	if err := os.WriteFile(filepath.Join(dir, partName(len(parts))), []byte("of a longer one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := joined(files(dir), 1<<30); err != nil || string(data) != "mesh" {
		t.Errorf("%q, %v", data, err)
	}
}

// files reads the parts in a directory.
func files(dir string) func(string) ([]byte, error) {
	return func(part string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, part)) }
}

func joined(read func(string) ([]byte, error), limit int64) ([]byte, error) {
	in, err := join(read, limit)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(in)
}

func pack(t *testing.T, dir string, data []byte) []manifest.File {
	t.Helper()
	parts, err := Pack(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range parts {
		if err := os.WriteFile(filepath.Join(dir, part.Path), part.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return parts
}
