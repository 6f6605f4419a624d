package main

import (
	"bytes"
	"testing"

	"github.com/meshc/meshc/review/preflight"
)

// TestChecksAreSafeForATerminal writes what a hostile API server says of its version.
func TestChecksAreSafeForATerminal(t *testing.T) {
	var got bytes.Buffer
	hostile := preflight.Result{Check: "version", Of: "a\x1b[2J", Text: "v1\ngood  nodes: all\r"}
	if err := printChecks(&got, []preflight.Result{hostile}); err != nil {
		t.Fatal(err)
	}
	if want := "FAIL  version: a\\u001b[2J: v1\\u000agood  nodes: all\\u000d\n"; got.String() != want {
		t.Errorf("%q, want %q", got.String(), want)
	}
}
