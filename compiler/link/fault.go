package link

import (
	"fmt"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// fault is what a route does to a share of its requests.
func (l *linker) fault(here place, f *spec.Fault) *ir.Fault {
	if f == nil {
		return nil
	}
	if f.Delay == nil && f.Abort == nil {
		l.add(diag.EmptyList, here, "fault has neither delay nor abort, so it has no effect", here.pos(f.Pos)).
			hint(`fault: delay: for: "2s"`)
		return nil
	}
	out := &ir.Fault{}
	if d := f.Delay; d != nil {
		out.Delay, out.DelayPercent = l.duration(here.field("delay.for"), d.For), d.Percent.Or(100)
	}
	if a := f.Abort; a != nil {
		out.AbortPercent, out.Status, out.GRPCStatus = a.Percent.Or(100), uint16(a.Status.Value),
			uint16(a.GRPCStatus.Value)
		if a.Status.IsSet() == a.GRPCStatus.IsSet() {
			l.add(diag.ExactlyOneOf, here.field("abort"),
				fmt.Sprintf("abort has %s status and grpcStatus, and must have exactly one",
					bothOrNeither(a.Status.IsSet())), here.pos(a.Pos)).
				hint("%s", either(a.Status.IsSet(), "abort: status: 503, or abort: grpcStatus: 14",
					"remove status, or remove grpcStatus"))
		}
	}
	return out
}

// either is the hint where two fields are both written or neither is.
func either(both bool, neither, surplus string) string {
	if both {
		return surplus
	}
	return neither
}

func bothOrNeither(both bool) string {
	if both {
		return "both"
	}
	return "neither of"
}
