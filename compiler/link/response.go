package link

import (
	"fmt"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// maxBody is what Envoy takes for the body of a direct response, in bytes.
const maxBody = 4096

// directResponse is the answer that a route gives by itself.
func (l *linker) directResponse(here place, r *spec.DirectResponse) *ir.DirectResponse {
	if r == nil {
		return nil
	}
	if n := len(r.Body.Value); n > maxBody {
		l.add(diag.OutOfRange, here.field("body"), fmt.Sprintf("body has %d bytes, and a proxy's own answer at most %d",
			n, maxBody), here.pos(r.Body.Pos)).
			hint("let a service answer with more")
	}
	switch status := r.Status.Value; {
	case status >= 300 && status < 400 && status != 304:
		l.add(diag.NoEffect, here.field("status"),
			fmt.Sprintf("status %d is a redirect, and a direct response has no location", status),
			here.pos(r.Status.Pos)).
			hint(`write redirect: {path: "/…", status: %d}`, status)
	case (status == 204 || status == 304) && r.Body.Value != "":
		l.add(diag.NoEffect, here.field("body"), fmt.Sprintf("an answer with status %d has no body", status),
			here.pos(r.Body.Pos), here.pos(r.Status.Pos)).hint("remove one of them")
	}
	return &ir.DirectResponse{Status: uint16(r.Status.Value), Body: r.Body.Value}
}
