package link

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// permissive refuses mtls "permissive" where no port takes callers without an identity.
func (l *linker) permissive(s *ir.Service, h home[spec.Service]) {
	if !s.Plaintext || slices.ContainsFunc(s.Ports, func(p ir.Port) bool { return s.TakesPlaintext(&p) }) {
		return
	}
	l.add(diag.NoEffect, h.place.field("mtls"), `mtls "permissive" cannot take effect: no port speaks HTTP, and no rule `+
		"lets callers without an identity in", h.place.pos(h.spec.MTLS.Pos)).
		hint("add {from: plaintext: true} to services.%s.allow, or remove mtls", s.Name)
}
