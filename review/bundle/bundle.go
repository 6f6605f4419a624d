// Package bundle puts all that somebody needs who looks at a mesh from elsewhere into one file, without secrets: what
// meshc serve and the administration of Envoys answer, the spec, and logs.
//
// A bundle is a tar.gz. Its first file is manifest.json, which says where each of the others comes from: what was asked
// at an address is found again by the same address and path ([Bundle.Answer]), so that who can ask a server can ask a
// bundle.
package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Format is the version of the layout. A reader refuses a later one.
const Format = 1

const manifestName = "manifest.json"

// maxFile bounds each file and maxAll all of them, in bytes, when a bundle is made and when it is read.
const (
	maxFile = 128 << 20
	maxAll  = 1 << 30
)

// Manifest is what a bundle holds.
type Manifest struct {
	Format int `json:"format"`
	// Meshc is the version that made it, and Created when.
	Meshc   string    `json:"meshc"`
	Created time.Time `json:"created"`
	Files   []File    `json:"files"`
}

// File is one that was collected, or could not be.
type File struct {
	// Name is that in the bundle; empty if nothing could be collected.
	Name string `json:"name,omitempty"`
	// Address and Path are what was asked: HOST:PORT and the path of a GET request, with its query.
	Address string `json:"address,omitempty"`
	Path    string `json:"path,omitempty"`
	// Later is set for what was asked once more, [Between] after the first time, to see what grows.
	Later bool `json:"later,omitempty"`
	// Source is the file that it was read from, for what was not asked.
	Source string `json:"source,omitempty"`
	// Redacted is how many values were taken out.
	Redacted int `json:"redacted,omitempty"`
	// Error is why it is not there, or not whole.
	Error string `json:"error,omitempty"`
}

// Bundle is a bundle that was collected or read.
type Bundle struct {
	Manifest
	content map[string][]byte
}

// Content is a file by its name; nil if there is none.
func (b *Bundle) Content(name string) []byte { return b.content[name] }

// Answer is what a GET request for the path had as an answer at the address, or why there was none.
func (b *Bundle) Answer(address, path string) ([]byte, error) { return b.answer(address, path, false) }

// Later is the answer to a request that was made once more.
func (b *Bundle) Later(address, path string) ([]byte, error) { return b.answer(address, path, true) }

func (b *Bundle) answer(address, path string, later bool) ([]byte, error) {
	for i := range b.Files {
		f := &b.Files[i]
		switch {
		case f.Address != address || f.Path != path || f.Later != later:
		case f.Name == "":
			return nil, errors.New(f.Error)
		default:
			return b.content[f.Name], nil
		}
	}
	return nil, fmt.Errorf("the bundle does not have what %s answers to %s", address, path)
}

// Asked are the addresses that were asked for a path, whether they answered or not.
func (b *Bundle) Asked(path string) (addresses []string) {
	for i := range b.Files {
		if f := &b.Files[i]; f.Path == path {
			addresses = append(addresses, f.Address)
		}
	}
	return addresses
}

// Write writes a bundle: the same for the same content, whoever makes it.
func (b *Bundle) Write(w io.Writer) error {
	zipped := gzip.NewWriter(w)
	out := tar.NewWriter(zipped)
	manifest, err := json.MarshalIndent(&b.Manifest, "", "  ")
	if err != nil {
		return err
	}
	put := func(name string, data []byte) error {
		err := out.WriteHeader(&tar.Header{
			Name: name, Mode: 0o600, Size: int64(len(data)), ModTime: b.Created.Truncate(time.Second),
			Format: tar.FormatPAX,
		})
		if err == nil {
			_, err = out.Write(data)
		}
		return err
	}
	if err := put(manifestName, append(manifest, '\n')); err != nil {
		return err
	}
	for i := range b.Files {
		if name := b.Files[i].Name; name != "" {
			if err := put(name, b.content[name]); err != nil {
				return err
			}
		}
	}
	return errors.Join(out.Close(), zipped.Close())
}

// Read reads a bundle, which may come from anywhere: nothing of it is written to a disk, and its size is bounded.
func Read(r io.Reader) (*Bundle, error) {
	zipped, err := gzip.NewReader(r)
	if err != nil {
		return nil, errors.New("this is not a bundle: it is not compressed by gzip")
	}
	in := tar.NewReader(zipped)
	b := &Bundle{content: map[string][]byte{}}
	for left := int64(maxAll); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("the bundle is damaged: %w", err)
		}
		data, err := io.ReadAll(io.LimitReader(in, min(maxFile, left)+1))
		if err != nil {
			return nil, fmt.Errorf("the bundle is damaged: %w", err)
		}
		if left -= int64(len(data)); len(data) > maxFile || left < 0 {
			return nil, fmt.Errorf("the bundle is larger than %d MiB, or a file of it than %d MiB", maxAll>>20,
				maxFile>>20)
		}
		b.content[header.Name] = data
	}
	manifest := json.NewDecoder(bytes.NewReader(b.content[manifestName]))
	switch err := manifest.Decode(&b.Manifest); {
	case err != nil:
		return nil, errors.New("this is not a bundle: it has no " + manifestName)
	case b.Format > Format || b.Format < 1:
		return nil, fmt.Errorf("the bundle has the format %d, and this meshc reads %d: use the meshc that made it (%s)",
			b.Format, Format, b.Meshc)
	}
	delete(b.content, manifestName)
	return b, nil
}
