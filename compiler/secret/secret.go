// Package secret keeps secrets out of what is written: a type for those that meshc
// holds, which prints as "[redacted]" whatever prints it, and a search for those
// that somebody wrote where they do not belong.
package secret

import (
	"fmt"
	"log/slog"
)

// Redacted is what stands in place of a secret.
const Redacted = "[redacted]"

// Value is a secret. It prints as [Redacted] with every verb, in JSON, in text and
// in logs; [Value.Reveal] is the only way to what it holds.
type Value struct{ held []byte }

// New holds a secret.
func New(held []byte) Value { return Value{held} }

// Reveal is the secret itself, for what needs it: to sign, to decrypt, to write into
// a file with mode 0600.
func (v Value) Reveal() []byte { return v.held }

// IsZero reports whether there is no secret.
func (v Value) IsZero() bool { return len(v.held) == 0 }

// Format prints [Redacted], whatever the verb and flags.
func (v Value) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Redacted)) }

// String is [Redacted].
func (v Value) String() string { return Redacted }

// MarshalText is [Redacted], for JSON, YAML and the like.
func (v Value) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// LogValue is [Redacted].
func (v Value) LogValue() slog.Value { return slog.StringValue(Redacted) }
