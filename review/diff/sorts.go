package diff

import (
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// Sorts are one request of each sort that the members of a mesh tell apart: of the calls of each service, and of those
// outside to each gateway. Two are of one sort when the same routes and rules take them. Whole is false
// where there are too many sorts, so that some are missing.
func Sorts(m *ir.Mesh) (list []try.Request, whole bool) {
	d := &differ{
		Difference: &Difference{}, old: m, new: m, all: true, steps: budget{left: maxSteps}, sorts: &list,
	}
	for _, s := range m.Services {
		for i := range s.Uses {
			d.calls(s.Name, nil, [2]*ir.Use{&s.Uses[i], nil})
		}
	}
	d.gateways()
	return list, len(d.Missed) == 0
}
