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
		Scheme: t.Scheme, Host: t.Host, Port: t.Port, Path: t.Path, Headers: t.Headers,
	}
	if t.Issuer != "" {
		r.Token = &Token{t.Issuer, t.Claims}
	}
	return r
}

// Names of the token's claims, sorted.
func (t *Token) Names() []string { return slices.Sorted(maps.Keys(t.Claims)) }

// Differs says what becomes of the request instead of what is expected; "" when it is as expected.
func (t *Trial) Differs(e *ir.Expectation) string {
	if t.Allowed() != e.Allowed {
		return t.Outcome()
	}
	if e.Service == "" && e.Version == "" {
		return ""
	}
	if len(t.Reaches) == 0 {
		return t.Outcome()
	}
	for _, r := range t.Reaches {
		if e.Service != "" && r.Service != e.Service || e.Version != "" && r.Version != e.Version {
			return t.Outcome()
		}
	}
	return ""
}

// Outcome is what becomes of the request, in a few words.
func (t *Trial) Outcome() string {
	if a := t.Answer; a != nil {
		switch {
		case a.Status == 0:
			return "is closed by the proxy of " + a.By
		case a.Location != "":
			return fmt.Sprintf("is redirected to %s by the proxy of %s", a.Location, a.By)
		}
		return fmt.Sprintf("is answered %d by the proxy of %s", a.Status, a.By)
	}
	var out []string
	for _, r := range t.Reaches {
		out = append(out, r.text())
	}
	return strings.Join(out, "; ")
}
