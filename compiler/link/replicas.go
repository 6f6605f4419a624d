package link

import (
	"fmt"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// replicas is how many pods a gateway has.
func (l *linker) replicas(here place, r *spec.Replicas) ir.Replicas {
	out := ir.Replicas{Min: 2, Max: 10, CPU: 70}
	if r == nil {
		return out
	}
	out.CPU = int32(r.CPU.Or(int(out.CPU)))
	out.Max = int32(r.Max.Or(max(int(out.Max), r.Min.Value)))
	out.Min = int32(r.Min.Or(int(min(out.Min, out.Max))))
	switch {
	case out.Min > out.Max:
		l.add(diag.OutOfRange, here.field("min"), fmt.Sprintf("min is %d and max is %d", out.Min, out.Max),
			here.pos(r.Min.Pos), here.pos(r.Max.Pos)).
			hint("max: %d", out.Min)
	case out.Min == out.Max && r.CPU.IsSet():
		l.add(diag.NoEffect, here.field("cpu"), fmt.Sprintf("cpu cannot take effect: there are always %d pods",
			out.Min), here.pos(r.CPU.Pos)).
			hint("remove it, or write a larger max")
	}
	return out
}
