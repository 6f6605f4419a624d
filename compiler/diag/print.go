package diag

import (
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/meshc/meshc/compiler/source"
)

// Format is an output format of findings: text, json, sarif or github.
type Format string

// The formats.
const (
	Text   Format = "text"   // for people
	JSON   Format = "json"   // one array of objects
	SARIF  Format = "sarif"  // SARIF 2.1.0
	GitHub Format = "github" // GitHub's workflow commands
)

// ParseFormat returns the format with this name, or an error that lists the valid names.
func ParseFormat(name string) (Format, error) {
	switch f := Format(name); f {
	case Text, JSON, SARIF, GitHub:
		return f, nil
	}
	return "", fmt.Errorf("format is %q and must be text, json, sarif or github", name)
}

// PrintOptions are options for printing findings.
type PrintOptions struct {
	// Files contains the source files, whose lines are shown; nil to show no lines.
	Files fs.FS
	// Color enables colors for terminals.
	Color bool
	// Version is the version of meshc, for SARIF.
	Version string
}

// Print writes the findings in the order of the list.
func Print(w io.Writer, found List, format Format, o PrintOptions) error {
	switch format {
	case JSON:
		return printJSON(w, found)
	case SARIF:
		return printSARIF(w, found, o)
	case GitHub:
		return printGitHub(w, found)
	default:
		return printText(w, found, o)
	}
}

// FirstError returns a short text with the first error, its positions and code, and the number of other errors.
func (l List) FirstError() string {
	errors, _ := l.Count()
	for _, d := range l {
		if d.Severity != Error {
			continue
		}
		var where []string
		for _, p := range d.Positions {
			where = append(where, p.String())
		}
		text := fmt.Sprintf("%s %s: %s", strings.Join(where, " "), d.Code, d.Message)
		if errors > 1 {
			text += fmt.Sprintf(" (and %d more)", errors-1)
		}
		return strings.TrimSpace(text)
	}
	return "the mesh has errors"
}

// Summary returns the numbers of errors and warnings, as in "2 errors, 1 warning"; "" if there are none.
func (l List) Summary() string {
	errors, warnings := l.Count()
	var parts []string
	if errors > 0 {
		parts = append(parts, Count(errors, "error"))
	}
	if warnings > 0 {
		parts = append(parts, Count(warnings, "warning"))
	}
	return strings.Join(parts, ", ")
}

// Count is a number of things, by the word for one of them: "1 error", "2 errors".
func Count[N int | uint64](n N, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// Printable is text from a file or a name, safe for a terminal: [source.Printable].
func Printable(s string) string { return source.Printable(s) }
