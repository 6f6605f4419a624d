package manifest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// partSize is how large a part may be. kubectl keeps what it applied in an
// annotation, and all annotations of an object together may have 256 KiB; in
// base64 a part has two thirds of that.
const partSize = 128 << 10

// Pack compresses a file and cuts it into parts that each fit into a ConfigMap:
// NAME.gz.000, NAME.gz.001 and so on. At least one. The same data makes the same
// parts.
func Pack(name string, data []byte) ([]File, error) {
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
	var parts []File
	for rest := b.Bytes(); len(rest) > 0; {
		n := min(len(rest), partSize)
		parts = append(parts, File{Path: partName(name, len(parts)), Data: rest[:n]})
		rest = rest[n:]
	}
	return parts, nil
}

func partName(name string, n int) string { return fmt.Sprintf("%s.gz.%03d", name, n) }

// Unpack reads a file that [Pack] took apart from the directory with its parts.
func Unpack(dir fs.FS, name string, limit int64) ([]byte, error) {
	return Join(func(part string) ([]byte, error) { return fs.ReadFile(dir, part) }, name, limit)
}

// Join puts a file together that [Pack] took apart. It is at most limit bytes long.
// Read returns a part, or [fs.ErrNotExist]. While parts of an older and a newer file
// stand beside each other the checksum tells, and Join returns an error; parts of a
// longer one that are left behind it do no harm.
func Join(read func(part string) ([]byte, error), name string, limit int64) ([]byte, error) {
	var packed bytes.Buffer
	for n := 0; ; n++ {
		part, err := read(partName(name, n))
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
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r.Multistream(false)
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case int64(len(data)) > limit:
		return nil, fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	return data, nil
}
