package link

import (
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// forms are those of the mesh with what a member writes on top.
func forms(here place, out ir.Forms, f *spec.RequestForms) ir.Forms {
	if f == nil {
		return out
	}
	out.Pos = here.pos(f.Pos)
	if f.EncodedSlashes.IsSet() {
		out.EncodedSlashes = f.EncodedSlashes.Value == "keep"
	}
	if f.Underscores.IsSet() {
		out.Underscores = ""
		if f.Underscores.Value != "reject" {
			out.Underscores = ir.Underscores(f.Underscores.Value)
		}
	}
	out.HTTP10 = f.HTTP10.Or(out.HTTP10)
	if f.HeaderCase.IsSet() {
		out.HeaderCase = f.HeaderCase.Value == "preserve"
	}
	return out
}
