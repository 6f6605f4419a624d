package ir

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"reflect"
	"slices"
	"sync"

	"github.com/meshc/meshc/compiler/same"
)

// Part is a part of a [Scope], by what is made of it. Every field of the IR is of both parts, unless its tag says
// otherwise: `scope:"deployment"` is of [DeploymentPart] alone, `scope:"callers"` is read of those that the member
// calls and not of the member itself, and `scope:"-"` is of neither.
type Part int

const (
	// ProxyPart is what the proxy's configuration is made of: its bootstrap, and what meshc serve sends it.
	ProxyPart Part = iota
	// DeploymentPart is what the files of the member are made of: ProxyPart, as its bootstrap is mounted into its
	// pods, and what only manifests and requests for certificates say, as images and numbers of replicas.
	DeploymentPart

	calleePart // what both parts have of those that the member calls
	whole      // every field, for [Same]
)

// has reports whether a field with that tag is of the part.
func (p Part) has(tag reflect.StructTag) bool {
	switch tag.Get("scope") {
	case "-":
		return p == whole
	case "deployment":
		return p == DeploymentPart || p == whole
	case "callers":
		return p == calleePart || p == whole
	}
	return true
}

// plans has the fields of each type that a part has.
var plans sync.Map

type planKey struct {
	typ  reflect.Type
	part Part
}

// fields are the indices of the fields of a type that the part has.
func (p Part) fields(t reflect.Type) []int {
	key := planKey{t, p}
	if known, ok := plans.Load(key); ok {
		return known.([]int)
	}
	var out []int
	for i := range t.NumField() {
		if p.has(t.Field(i).Tag) {
			out = append(out, i)
		}
	}
	plans.Store(key, out)
	return out
}

// Same reports whether the part of two scopes is alike, but for where things were written. What both share is not
// compared.
func (s *Scope) Same(p Part, other *Scope) bool {
	a, b := *s, *other
	a.Upstreams, a.Externals, b.Upstreams, b.Externals = nil, nil, nil, nil
	return p.same(reflect.ValueOf(&a), reflect.ValueOf(&b)) &&
		calleePart.same(reflect.ValueOf(s.Upstreams), reflect.ValueOf(other.Upstreams)) &&
		calleePart.same(reflect.ValueOf(s.Externals), reflect.ValueOf(other.Externals))
}

// SameSettings reports whether the part of two meshes' settings is alike, but for where they were written.
func SameSettings(p Part, a, b *Settings) bool {
	return p.same(reflect.ValueOf(a), reflect.ValueOf(b))
}

// Sum tells the parts of scopes apart.
type Sum [sha256.Size]byte

// Hasher hashes the scopes of one mesh. The callers' view of a member that has several callers is hashed once.
type Hasher struct {
	Part Part
	// Places has it tell apart too where things were written, as files of a member do.
	Places bool

	known map[any]Sum
}

// Hash gives the same sum for two scopes exactly when they are alike in the part.
func (h *Hasher) Hash(s *Scope) Sum {
	if h.known == nil {
		h.known = map[any]Sum{}
	}
	own := *s
	own.Upstreams, own.Externals = nil, nil
	d := digest{part: h.Part, places: h.Places}
	d.value(reflect.ValueOf(&own))
	for _, use := range s.Member().Uses {
		var callee any = s.Upstreams[use.To]
		if use.External {
			callee = s.Externals[use.To]
		}
		known, ok := h.known[callee]
		if !ok {
			of := digest{part: calleePart, places: h.Places}
			of.value(reflect.ValueOf(callee))
			known = sha256.Sum256(of.data)
			h.known[callee] = known
		}
		d.data = append(d.data, known[:]...)
	}
	return sha256.Sum256(d.data)
}

// digest writes values so that those which differ are written otherwise: everything of no fixed length after its
// length.
type digest struct {
	part   Part
	places bool
	data   []byte
}

func (d *digest) number(n uint64) { d.data = binary.BigEndian.AppendUint64(d.data, n) }

func (d *digest) text(s string) {
	d.number(uint64(len(s)))
	d.data = append(d.data, s...)
}

func (d *digest) value(v reflect.Value) {
	switch {
	case !v.IsValid():
		d.number(0)
		return
	case v.Type() == position:
		if d.places {
			d.text(same.Text(v))
		}
		return
	case Opaque(v.Type()):
		d.text(same.Text(v))
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			d.number(0)
			return
		}
		d.number(1)
		d.value(v.Elem())
	case reflect.Struct:
		for _, i := range d.part.fields(v.Type()) {
			d.value(v.Field(i))
		}
	case reflect.Slice:
		d.number(uint64(v.Len()))
		for i := range v.Len() {
			d.value(v.Index(i))
		}
	case reflect.Map:
		d.entries(v)
	case reflect.String:
		d.text(v.String())
	case reflect.Bool:
		if v.Bool() {
			d.number(1)
		} else {
			d.number(0)
		}
	case reflect.Float32, reflect.Float64:
		d.number(math.Float64bits(v.Float()))
	default:
		if v.CanInt() {
			d.number(uint64(v.Int()))
		} else {
			d.number(v.Uint())
		}
	}
}

// entries writes a map, whose keys are strings, in their order.
func (d *digest) entries(v reflect.Value) {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
	d.number(uint64(len(keys)))
	for _, k := range keys {
		d.text(k.String())
		d.value(v.MapIndex(k))
	}
}
