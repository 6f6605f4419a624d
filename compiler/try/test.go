package try

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// OfTest is the request of a test.
func OfTest(t *ir.Test) Request {
	r := Request{
		From: Sender{t.FromKind, t.From}, Method: t.Method,
		Scheme: t.Scheme, Host: t.Host, Port: t.Port, Path: t.Path, Headers: t.Headers, Empty: true,
	}
	if t.Issuer != "" {
		r.Token = &Token{t.Issuer, t.Claims}
	}
	return r
}

// Names of the token's claims, sorted.
func (t *Token) Names() []string { return slices.Sorted(maps.Keys(t.Claims)) }

// Outcome is what happens to the request, in a few words.
func (t *Trial) Outcome() string {
	if a := t.Answer; a != nil {
		switch {
		case a.Dropped:
			return "is dropped at " + a.By
		case a.Status == 0:
			return "is closed by the proxy of " + a.By
		case a.Location != "":
			return fmt.Sprintf("is redirected to %s by the proxy of %s", a.Location, a.By)
		}
		return fmt.Sprintf("is answered %d%s by the proxy of %s", a.Status, a.ofGRPC(), a.By)
	}
	var out []string
	for _, r := range t.Reaches {
		out = append(out, r.text())
	}
	return strings.Join(out, "; ")
}

// ofGRPC is the status of gRPC, as an addition to that of HTTP.
func (a *Answer) ofGRPC() string {
	if a.GRPCStatus == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d of gRPC)", a.GRPCStatus)
}
