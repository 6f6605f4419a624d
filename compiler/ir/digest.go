package ir

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
)

// Digest tells one mesh from another, of its JSON. It is made of the sums of the lines, of which each member has one:
// so that of a changed mesh is known from the lines that have changed.
func Digest(data []byte) string {
	h := sha256.New()
	for line := range bytes.Lines(data) {
		sum := sumOf(line)
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// sumOf is the sum of a line. What separates it from the next one does not count.
func sumOf(line []byte) Sum {
	return sha256.Sum256(bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte(",")))
}

// Digester makes the digests of meshes that come one after the other. Of a member that is the same value as in the last
// mesh the sum is known. The zero Digester knows none.
type Digester struct{ known map[any]Sum }

// Digest is [Digest] of the mesh's JSON.
func (d *Digester) Digest(m *Mesh) (string, error) {
	settings, err := encode(&m.Settings)
	if err != nil {
		return "", err
	}
	e := Encoding{Settings: settings}
	next := make(map[any]Sum, len(m.Services)+len(m.Gateways)+len(m.Externals))
	var failed [3]error
	e.Services, failed[0] = sums(d.known, next, m.Services)
	e.Gateways, failed[1] = sums(d.known, next, m.Gateways)
	e.Externals, failed[2] = sums(d.known, next, m.Externals)
	if err := errors.Join(failed[:]...); err != nil {
		return "", err
	}
	d.known = next
	h := sha256.New()
	e.lines(func(text []byte, member, _ bool) {
		if !member { // of members the sums are in the place of the lines
			sum := sumOf(text)
			text = sum[:]
		}
		h.Write(text)
	})
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// sums returns the sums of the members, and adds them to next.
func sums[T any](known, next map[any]Sum, members []*T) ([][]byte, error) {
	var unknown []*T
	for _, m := range members {
		if sum, ok := known[m]; ok {
			next[m] = sum
		} else {
			unknown = append(unknown, m)
		}
	}
	lines := make([][]byte, len(unknown))
	if err := encodeAll(lines, unknown); err != nil {
		return nil, err
	}
	for i, m := range unknown {
		next[m] = sumOf(lines[i])
	}
	out := make([][]byte, len(members))
	for i, m := range members {
		sum := next[m]
		out[i] = sum[:]
	}
	return out, nil
}
