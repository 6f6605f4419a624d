package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/object"
	"github.com/fluxcd/pkg/ssa/jsondiff"
	"github.com/fluxcd/pkg/ssa/utils"

	"github.com/meshc/meshc/compiler/ir"
)

// The kinds of difference.
const (
	Missing = "missing" // the cluster has no such object
	Changed = "changed" // it is there, and says something else
	Gone    = "gone"    // meshc apply made it, and the mesh has it no more
)

// Difference is an object in which a cluster is not what the mesh compiles to.
type Difference struct {
	Kind string `json:"kind"`
	// Object is KIND/NAMESPACE/NAME.
	Object string  `json:"object"`
	Fields []Field `json:"fields,omitempty"`
}

// Field is what differs inside an object.
type Field struct {
	// Path is a JSON pointer (RFC 6901).
	Path string `json:"path"`
	// Cluster and Mesh are what each says there; null for nothing.
	Cluster any `json:"cluster"`
	Mesh    any `json:"mesh"`
}

// Diff compares the cluster with the directory that m compiles to, by what the API
// server would make of it: formatting, defaults, and what others have added beside are
// no differences. It changes nothing.
func (c *Cluster) Diff(ctx context.Context, dir string, m *ir.Mesh) ([]Difference, error) {
	stages, now, err := stagesOf(dir, m)
	if err != nil {
		return nil, err
	}
	var out []Difference
	for _, s := range stages {
		for _, o := range s.objects {
			d, err := jsondiff.Unstructured(ctx, c.client, o, jsondiff.FieldOwner(fieldManager))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", utils.FmtUnstructured(o), err)
			}
			switch d.Type {
			case jsondiff.DiffTypeCreate:
				out = append(out, Difference{Kind: Missing, Object: utils.FmtUnstructured(o)})
			case jsondiff.DiffTypeUpdate:
				changed := Difference{Kind: Changed, Object: utils.FmtUnstructured(o)}
				for _, op := range d.Patch {
					changed.Fields = append(changed.Fields, Field{Path: op.Path, Cluster: op.OldValue, Mesh: op.Value})
				}
				out = append(out, changed)
			}
		}
	}
	gone, err := c.gone(ctx, now, m)
	return append(out, gone...), err
}

// gone are the objects that meshc made and the mesh, which has the objects now, has no more.
func (c *Cluster) gone(ctx context.Context, now object.ObjMetadataSet, m *ir.Mesh) ([]Difference, error) {
	inventory, err := c.inventory(ctx, m.Name)
	if err != nil {
		return nil, err
	}
	var out []Difference
	for _, id := range inventory.names.Diff(now) {
		existing, err := c.existing(ctx, id)
		if err != nil {
			return nil, err
		}
		if existing != nil && ours(existing, m, inventory.owners[id]) && !isNamed(id, m) {
			out = append(out, Difference{Kind: Gone, Object: utils.FmtObjMetadata(id)})
		}
	}
	return out, nil
}

// String is the difference for a terminal.
func (d Difference) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", d.Kind, d.Object)
	for _, f := range d.Fields {
		fmt.Fprintf(&b, "    %s: %s in the cluster, %s in the mesh\n", f.Path, short(f.Cluster), short(f.Mesh))
	}
	return b.String()
}

// short is a value on one line.
func short(v any) string {
	if v == nil {
		return "nothing"
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	const most = 100
	if text := []rune(string(data)); len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(data)
}
