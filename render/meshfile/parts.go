package meshfile

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/manifest"
)

// partSize is how large a part may be, in bytes. kubectl keeps what it applied in an
// annotation, and all annotations of an object together may have 256 KiB; in
// base64 a part has two thirds of that.
const partSize = 128 << 10

// Pack compresses a mesh.json and cuts it into parts that each fit into a ConfigMap:
// mesh.json.gz.000, mesh.json.gz.001 and so on. At least one. The same data makes the
// same parts.
func Pack(data []byte) ([]manifest.File, error) {
	var b bytes.Buffer
	// The zero header has no time. The fastest level is a fifth larger, and this
	// runs in every compilation of the whole mesh.
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	var parts []manifest.File
	for rest := b.Bytes(); len(rest) > 0; {
		n := min(len(rest), partSize)
		parts = append(parts, manifest.File{Path: partName(len(parts)), Data: rest[:n]})
		rest = rest[n:]
	}
	return parts, nil
}

func partName(n int) string { return fmt.Sprintf("%s.gz.%03d", Name, n) }

// Joined is the mesh whose parts read returns by their names, or [fs.ErrNotExist]. Members that have not changed
// since the last mesh of the reader are the same values.
func Joined(r *ir.Reader, read func(part string) ([]byte, error)) (*ir.Mesh, error) {
	return r.Read(func() (io.ReadCloser, error) { return join(read, maxSize) })
}

// join puts a mesh.json together that [Pack] took apart. It is at most limit bytes long.
// Read returns a part, or [fs.ErrNotExist]. While parts of an older and a newer file
// stand beside each other the checksum tells, and reading ends with an error; parts of a
// longer one that are left behind it do no harm.
func join(read func(part string) ([]byte, error), limit int64) (io.ReadCloser, error) {
	var packed bytes.Buffer
	for n := 0; ; n++ {
		part, err := read(partName(n))
		if errors.Is(err, fs.ErrNotExist) && n > 0 {
			break
		}
		if err != nil {
			return nil, err
		}
		packed.Write(part)
	}
	r, err := gzip.NewReader(&packed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", Name, err)
	}
	r.Multistream(false)
	return bounded{&io.LimitedReader{R: r, N: limit + 1}, r, limit}, nil
}
