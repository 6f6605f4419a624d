// Package config compares the configuration of one proxy as its mesh compiles to it, as meshc serve serves it, and as
// its Envoy has it.
package config

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"sigs.k8s.io/yaml"

	"github.com/meshc/meshc/compiler/source"
)

// The types of resources, by the names of their discovery services, in the order in which they are shown.
const (
	Listener = "LDS"
	Route    = "RDS"
	Cluster  = "CDS"
	Endpoint = "EDS"
	Secret   = "SDS"
)

var order = []string{Listener, Route, Cluster, Endpoint, Secret}

// Resource is one resource of a proxy.
type Resource struct {
	Type   string          `json:"type"`
	Name   string          `json:"name"`
	Source source.Position `json:"source,omitzero"`
	// Body is the JSON of the resource (protobuf's JSON mapping, with the names of the fields as in the .proto files).
	Body json.RawMessage `json:"body"`
	// Note says what its Envoy does with it, where it is not just in use: it is warming, or refused.
	Note string `json:"note,omitempty"`
}

// Set are resources of one proxy.
type Set []Resource

// States are a proxy's resources in the three places. A set is nil where it is not known.
type States struct{ Compiled, Served, Envoy Set }

// Knows reports whether the Envoy told of resources of a type: of endpoints only where it was asked for them.
func (s *States) Knows(kind string) bool {
	told := func(r Resource) bool { return r.Type == kind }
	return s.Envoy != nil && (kind != Endpoint || slices.ContainsFunc(s.Envoy, told))
}

// Row is a resource in the three places; nil where it is absent, or where its place is not known.
type Row struct {
	Type     string
	Name     string
	Source   source.Position
	Compiled *Version
	Served   *Version
	Envoy    *Version
	// Differs says that the known places have not all the same.
	Differs bool
}

// Version is a resource in one of the places.
type Version struct {
	// Hash is of what is compared: all of a resource, and of endpoints their addresses, localities and priorities.
	Hash string
	// Body is the resource as YAML.
	Body string
	Note string
}

// Compare lists all resources of a proxy. Endpoints, and what else only a running mesh has, are not compiled: they are
// compared where they are served and used.
func Compare(s States) ([]Row, error) {
	type key struct{ kind, name string }
	rows := map[key]*Row{}
	fill := func(set Set, place func(*Row) **Version) error {
		for _, r := range set {
			row := rows[key{r.Type, r.Name}]
			if row == nil {
				row = &Row{Type: r.Type, Name: r.Name}
				rows[key{r.Type, r.Name}] = row
			}
			if !row.Source.IsValid() {
				row.Source = r.Source
			}
			v, err := versionOf(&r)
			if err != nil {
				return err
			}
			*place(row) = v
		}
		return nil
	}
	if err := errors.Join(
		fill(s.Compiled, func(r *Row) **Version { return &r.Compiled }),
		fill(s.Served, func(r *Row) **Version { return &r.Served }),
		fill(s.Envoy, func(r *Row) **Version { return &r.Envoy }),
	); err != nil {
		return nil, err
	}
	out := make([]Row, 0, len(rows))
	for _, row := range rows {
		if row.Type == Secret && row.Compiled == nil && row.Served == nil {
			continue // its Envoy reads it from a file of its host
		}
		row.Differs = row.differs(&s)
		out = append(out, *row)
	}
	slices.SortFunc(out, func(a, b Row) int {
		byType := cmp.Compare(slices.Index(order, a.Type), slices.Index(order, b.Type))
		return cmp.Or(byType, cmp.Compare(a.Name, b.Name))
	})
	return out, nil
}

// differs reports whether the places that are known differ.
func (r *Row) differs(s *States) bool {
	var hashes []string
	for _, p := range []struct {
		known bool
		is    *Version
	}{{s.Compiled != nil && r.Type != Endpoint, r.Compiled}, {s.Served != nil, r.Served}, {s.Knows(r.Type), r.Envoy}} {
		switch {
		case !p.known:
		case p.is == nil:
			hashes = append(hashes, "")
		case p.is.Note != "":
			return true
		default:
			hashes = append(hashes, p.is.Hash)
		}
	}
	return len(slices.Compact(hashes)) > 1
}

// position is a place in the spec, as resources name it, or the name of an assignment, in which there is a hash of it.
// Neither is compared: a proxy keeps the old ones when nothing but places in the spec changes.
var position = regexp.MustCompile(`[^\s"',;|()]*\.cue:\d+:\d+|"service_name":"[^"]*"`)

func versionOf(r *Resource) (*Version, error) {
	tree, err := treeOf(r.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s is not valid JSON", r.Type, r.Name)
	}
	body, err := yaml.Marshal(tree)
	if err != nil {
		return nil, err
	}
	var compared any = tree
	switch r.Type {
	case Endpoint:
		compared = addresses(tree)
	case Secret:
		compared = withoutFiles(tree)
	}
	canonical, err := json.Marshal(compared) // which sorts the keys
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(position.ReplaceAll(canonical, nil))
	return &Version{Hash: hex.EncodeToString(sum[:4]), Body: string(body), Note: r.Note}, nil
}

func treeOf(body []byte) (tree map[string]any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	err = decoder.Decode(&tree)
	return tree, err
}

// withoutFiles is a secret without what stands in files: an Envoy tells their content, and hides keys.
func withoutFiles(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, e := range v {
			switch name {
			case "filename", "inline_bytes", "watched_directory":
			default:
				out[name] = withoutFiles(e)
			}
		}
		return out
	case []any:
		var out []any
		for _, e := range v {
			out = append(out, withoutFiles(e))
		}
		return out
	}
	return v
}
