package ir

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// Format is the version of mesh.json; a reader refuses another.
const Format = 1

type document struct {
	Format int `json:"meshc"`
	*Mesh
}

// Marshal writes mesh.json: deterministic, indented, ending in a newline.
func Marshal(m *Mesh) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(document{Format, m}); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Unmarshal reads mesh.json. Unknown fields, trailing data and another Format
// are errors.
func Unmarshal(data []byte) (*Mesh, error) {
	doc := document{Mesh: &Mesh{}}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil {
		return nil, fmt.Errorf("not a mesh.json: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("not a mesh.json: more than one JSON value")
	}
	if doc.Format != Format {
		return nil, fmt.Errorf("mesh.json has format %d, this meshc reads %d: compile it again", doc.Format, Format)
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
