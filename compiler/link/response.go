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
func (l *linker) directResponse(u *spec.Unit, path string, r *spec.DirectResponse) *ir.DirectResponse {
	if r == nil {
		return nil
	}
	if n := len(r.Body.Value); n > maxBody {
		l.add(diag.OutOfRange, path+".body", fmt.Sprintf("body has %d bytes, and a proxy's own answer at most %d", n, maxBody), u.At(r.Body.Pos)).
			hint("let a service answer with more")
	}
	return &ir.DirectResponse{Status: uint16(r.Status.Value), Body: r.Body.Value}
}
