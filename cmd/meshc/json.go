package main

import (
	"encoding/json"
	"io"
)

// writeJSON prints a value for programs that read what a command says.
func writeJSON(w io.Writer, value any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(value)
}
