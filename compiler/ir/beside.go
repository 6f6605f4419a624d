package ir

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// UnmarshalBeside is [Unmarshal] of a mesh that is much like another one: members that are written the same are those
// of the other one, and are not read again.
func UnmarshalBeside(data []byte, other *Mesh) (*Mesh, error) {
	encoding, err := Encode(other)
	if err != nil {
		return nil, err
	}
	m, err := readBeside(data, other, encoding)
	if err != nil {
		return Unmarshal(data) // it is not laid out as Encoding.JSON does
	}
	if err := m.Valid(); err != nil {
		return nil, fmt.Errorf("not a mesh.json: %w", err)
	}
	return m, nil
}

// readBeside reads the lines of a mesh.json: the settings, and then of each list its beginning, its members and its
// end.
func readBeside(data []byte, other *Mesh, encoding *Encoding) (*Mesh, error) {
	lines := bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
	first := bytes.TrimSuffix(lines[0], []byte(","))
	if len(lines) > 1 {
		first = append(first[:len(first):len(first)], '}')
	}
	doc := struct {
		Format int `json:"meshc"`
		*Settings
	}{}
	m := &Mesh{}
	doc.Settings = &m.Settings
	if err := strictly(first, &doc); err != nil || doc.Format != Format {
		return nil, errLayout
	}
	rest := lines[1:]
	var err error
	for len(rest) > 0 {
		switch string(rest[0]) {
		case `"services":[`:
			m.Services, rest, err = membersBeside(rest[1:], other.Services, encoding.Services)
		case `"gateways":[`:
			m.Gateways, rest, err = membersBeside(rest[1:], other.Gateways, encoding.Gateways)
		case `"externals":[`:
			m.Externals, rest, err = membersBeside(rest[1:], other.Externals, encoding.Externals)
		default:
			err = errLayout
		}
		if err != nil {
			return nil, err
		}
	}
	return m, nil
}

var errLayout = fmt.Errorf("not laid out as mesh.json is")

// membersBeside reads the members of a list up to its end, and returns the lines behind it.
func membersBeside[T any](lines [][]byte, others []*T, encoded [][]byte) (list []*T, rest [][]byte, err error) {
	known := make(map[string]*T, len(others))
	for i, data := range encoded {
		known[string(data)] = others[i]
	}
	for i, line := range lines {
		if len(line) > 0 && line[0] == ']' {
			return list, lines[i+1:], nil
		}
		line = bytes.TrimSuffix(line, []byte(","))
		member := known[string(line)]
		if member == nil {
			member = new(T)
			if err := strictly(line, member); err != nil {
				return nil, nil, err
			}
		}
		list = append(list, member)
	}
	return nil, nil, errLayout
}

// strictly reads one value of JSON, without fields that it does not know.
func strictly(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
