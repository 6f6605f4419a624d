package update

import (
	"slices"

	"github.com/meshc/meshc/compiler/ir"
)

// WithDoors is a mesh whose services let in whom those of the same name in another mesh let in: what proxies do that
// have the one, with calls to proxies that have the other.
func WithDoors(m, doors *ir.Mesh) *ir.Mesh {
	out := *m
	out.Services = slices.Clone(m.Services)
	for i, s := range out.Services {
		if other := doors.Service(s.Name); other != nil && other != s {
			mixed := *s
			mixed.Guards = other.Guards
			out.Services[i] = &mixed
		}
	}
	return &out
}
