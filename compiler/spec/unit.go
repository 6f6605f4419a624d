// Package spec is the mesh as users wrote it: what one compile unit says, with
// a position for every value, before anything is resolved. Its types follow the
// schema field by field.
package spec

import "github.com/meshc/meshc/compiler/source"

// Pos is a position in one of a unit's files, packed so that a unit is cheap to
// keep: [Unit.At] unpacks it. Zero means that nothing was written.
type Pos uint64

const (
	columnBits = 16
	lineBits   = 32
)

func pack(file, line, column int) Pos {
	return Pos(file+1)<<(lineBits+columnBits) | Pos(uint32(line))<<columnBits | Pos(min(column, 1<<columnBits-1))
}

// Unit is what a compile unit says.
type Unit struct {
	// Files are the unit's files, below the module's root.
	Files []string
	// Unsupported are the fields in use that nothing renders yet.
	Unsupported []Mention
	Repository
	// Empty are the lists of the Repository that are written and have no elements, for [Unit.Restore].
	Empty []int

	searched bool     // for secrets
	secrets  []Secret // what was found
}

// Mention is a path of the spec and where it was written.
type Mention struct {
	Path string
	Pos  Pos
}

// At unpacks a position.
func (u *Unit) At(p Pos) source.Position {
	if p == 0 {
		return source.Position{}
	}
	return source.Position{
		File:   u.Files[int(p>>(lineBits+columnBits))-1],
		Line:   int(uint32(p >> columnBits)),
		Column: int(p & (1<<columnBits - 1)),
	}
}

// Field is a value and where it was written.
type Field[T any] struct {
	Value T
	Pos   Pos
}

// IsSet reports whether the field was written.
func (f Field[T]) IsSet() bool { return f.Pos != 0 }

// Or is the value, or the default when none was written.
func (f Field[T]) Or(value T) T {
	if f.IsSet() {
		return f.Value
	}
	return value
}

// Unsupported stands for a field of the schema that nothing renders yet: a use
// of it is kept in [Unit.Unsupported].
type Unsupported struct{}

// Repository is the root of the language.
type Repository struct {
	Mesh     *Mesh                `cue:"mesh"`
	Services map[string]*Service  `cue:"services"`
	Gateways map[string]*Gateway  `cue:"gateways"`
	External map[string]*External `cue:"external"`
	Tests    map[string]*Test     `cue:"tests"`
}
