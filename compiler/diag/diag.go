// Package diag defines findings: errors and warnings with a stable code, the positions in the user's files that took
// part, and a hint that says what to write instead. [Explain] returns the page about a code.
package diag

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/compiler/source"
)

// Severity says whether a finding fails the compilation: Error does, Warning does not.
type Severity string

// The severities.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Diagnostic is one finding.
type Diagnostic struct {
	// Code is stable, for example "MC1201".
	Code Code
	// Severity is that of the code.
	Severity Severity
	// Message is one sentence about the user's spec, without a full stop.
	Message string
	// Path is the CUE path of the value that is wrong, for example "services.cart.timeout"; empty if there is none.
	Path string
	// Positions are the places that took part. The first one is the most important.
	Positions []source.Position
	// Hint is one sentence that says what to write instead; empty if there is none.
	Hint string
}

// New returns a finding with the severity of its code. Text that looks like a secret is redacted, and of a text of more
// than 4 KiB the middle is left out. Positions that are
// not valid, and duplicates, are dropped.
func New(code Code, path, message string, positions ...source.Position) Diagnostic {
	d := Diagnostic{
		Code: code, Severity: code.Severity(), Path: short(secret.Redact(path)), Message: short(secret.Redact(message)),
	}
	for _, p := range positions {
		if p.IsValid() && !slices.Contains(d.Positions, p) {
			d.Positions = append(d.Positions, p)
		}
	}
	return d
}

// WithHint returns the finding with a hint, formatted as by fmt.Sprintf. Text that looks like a secret is redacted.
func (d Diagnostic) WithHint(format string, args ...any) Diagnostic {
	d.Hint = short(secret.Redact(fmt.Sprintf(format, args...)))
	return d
}

// maxText is how long a text of a finding can be, in bytes: what a spec says can be as long as a file.
const maxText = 4 << 10

// short returns a text without its middle if it is longer than maxText.
func short(text string) string {
	if len(text) <= maxText {
		return text
	}
	const cut, end = " […] ", maxText / 4
	return strings.ToValidUTF8(text[:maxText-end-len(cut)], "") + cut + strings.ToValidUTF8(text[len(text)-end:], "")
}

// List is a list of findings.
type List []Diagnostic

// Add appends findings.
func (l *List) Add(d ...Diagnostic) { *l = append(*l, d...) }

// HasErrors reports whether any finding is an error.
func (l List) HasErrors() bool {
	return slices.ContainsFunc(l, func(d Diagnostic) bool { return d.Severity == Error })
}

// Sort sorts the findings by position and then by code, which is the order in which they are printed, and removes
// duplicates.
func (l *List) Sort() {
	slices.SortStableFunc(*l, func(a, b Diagnostic) int {
		return cmp.Or(a.first().Compare(b.first()), cmp.Compare(a.Code, b.Code),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message, b.Message), slices.CompareFunc(a.Positions, b.Positions,
				source.Position.Compare))
	})
	*l = slices.CompactFunc(*l, func(a, b Diagnostic) bool {
		return a.Code == b.Code && a.Message == b.Message && a.Path == b.Path && slices.Equal(a.Positions, b.Positions)
	})
}

// Count returns the number of errors and the number of warnings.
func (l List) Count() (errors, warnings int) {
	for _, d := range l {
		if d.Severity == Error {
			errors++
		} else {
			warnings++
		}
	}
	return errors, warnings
}

func (d Diagnostic) first() source.Position {
	if len(d.Positions) == 0 {
		return source.Position{}
	}
	return d.Positions[0]
}
