// Package schema holds the CUE definitions of the mesh language, the same that
// users import.
package schema

//go:generate go run ../tools/reference ../docs/reference.md

import "embed"

// FS holds the schema's CUE files.
//
//go:embed *.cue
var FS embed.FS
