package ir

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"strconv"
	"sync"
)

// Format is the version of mesh.json; a reader refuses another.
const Format = 1

// Encoding is a mesh as JSON, member by member, so that what did not change is
// known by its bytes.
type Encoding struct {
	Settings                      []byte
	Services, Gateways, Externals [][]byte // in the order of the mesh
}

// Encode encodes a mesh, on every processor.
func Encode(m *Mesh) (*Encoding, error) {
	e := &Encoding{
		Services:  make([][]byte, len(m.Services)),
		Gateways:  make([][]byte, len(m.Gateways)),
		Externals: make([][]byte, len(m.Externals)),
	}
	var err error
	if e.Settings, err = encode(&m.Settings); err != nil {
		return nil, err
	}
	if err := encodeAll(e.Services, m.Services); err != nil {
		return nil, err
	}
	if err := encodeAll(e.Gateways, m.Gateways); err != nil {
		return nil, err
	}
	return e, encodeAll(e.Externals, m.Externals)
}

func encodeAll[T any](out [][]byte, in []*T) error {
	var workers sync.WaitGroup
	n := runtime.GOMAXPROCS(0)
	errs := make([]error, n)
	for w := range n {
		workers.Go(func() {
			for i := w; i < len(in); i += n {
				if out[i], errs[w] = encode(in[i]); errs[w] != nil {
					return
				}
			}
		})
	}
	workers.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// JSON is mesh.json: deterministic, with a line for each member.
func (e *Encoding) JSON() []byte {
	size := len(e.Settings) + 256
	for _, list := range [][][]byte{e.Services, e.Gateways, e.Externals} {
		for _, member := range list {
			size += len(member) + 2
		}
	}
	out := make([]byte, 0, size)
	e.lines(func(text []byte, _, comma bool) {
		if out = append(out, text...); comma {
			out = append(out, ',')
		}
		out = append(out, '\n')
	})
	return out
}

// lines calls yield with each line of mesh.json, and whether it is a member and whether a comma is at its end.
func (e *Encoding) lines(yield func(text []byte, member, comma bool)) {
	lists := []struct {
		name    string
		members [][]byte
	}{{"services", e.Services}, {"gateways", e.Gateways}, {"externals", e.Externals}}
	left := 0
	for _, list := range lists {
		if len(list.members) > 0 {
			left++
		}
	}
	head := append([]byte(formatStart+","), e.Settings[1:]...)
	if left == 0 {
		yield(head, false, false)
		return
	}
	yield(head[:len(head)-1], false, true)
	for _, list := range lists {
		if len(list.members) == 0 {
			continue
		}
		yield([]byte(`"`+list.name+`":[`), false, false)
		for i, member := range list.members {
			yield(member, true, i+1 < len(list.members))
		}
		if left--; left > 0 {
			yield([]byte("]"), false, true)
		} else {
			yield([]byte("]}"), false, false)
		}
	}
}

// formatStart begins a mesh.json.
var formatStart = `{"meshc":` + strconv.Itoa(Format)

// Marshal writes mesh.json.
func Marshal(m *Mesh) ([]byte, error) {
	e, err := Encode(m)
	if err != nil {
		return nil, err
	}
	return e.JSON(), nil
}

// Unmarshal reads mesh.json. Unknown fields, trailing data and another Format
// are errors.
func Unmarshal(data []byte) (*Mesh, error) {
	doc := struct {
		Format int `json:"meshc"`
		*Mesh
	}{Mesh: &Mesh{}}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil {
		return nil, fmt.Errorf("not a mesh.json: %w", err)
	}
	if trailing(d) {
		return nil, fmt.Errorf("not a mesh.json: more than one JSON value")
	}
	if doc.Format != Format {
		return nil, fmt.Errorf("mesh.json has format %d, this meshc reads %d: compile it again", doc.Format, Format)
	}
	if err := doc.Mesh.Valid(); err != nil {
		return nil, fmt.Errorf("not a mesh.json: %w", err)
	}
	return doc.Mesh, nil
}

// Clone is a deep copy that may be changed.
func (m *Mesh) Clone() *Mesh {
	data, err := json.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("ir: a mesh that has no JSON: %v", err)) // every field has one
	}
	clone := &Mesh{}
	if err := json.Unmarshal(data, clone); err != nil {
		panic(fmt.Sprintf("ir: a mesh that its own JSON does not make: %v", err))
	}
	return clone
}
