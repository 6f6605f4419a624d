package link

import (
	"fmt"
	"strings"

	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

// place is a field of the spec, or where one would stand: the unit that it is in, and its path there.
type place struct {
	unit *spec.Unit
	// path is as findings name it: "services.cart.allow[0].paths".
	path string
}

// field is a place below, by its path from here.
func (p place) field(path string) place { return place{p.unit, p.path + "." + path} }

// index is an element of the list here.
func (p place) index(i int) place { return place{p.unit, fmt.Sprintf("%s[%d]", p.path, i)} }

// name is the last part of the path.
func (p place) name() string { return p.path[strings.LastIndexByte(p.path, '.')+1:] }

// pos is the position in a file of something in the same unit.
func (p place) pos(at spec.Pos) source.Position { return p.unit.At(at) }
