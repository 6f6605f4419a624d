package load

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/source"
)

// fromCUE turns CUE's errors into findings: every one of them, with all the
// positions in the user's files, and no word of the schema's inside. What
// cannot be told apart gets the fallback code.
func fromCUE(err error, fallback diag.Code, unit string) diag.List {
	var found diag.List
	disjunctions := map[string]bool{} // paths at which no alternative fits
	for _, e := range errors.Errors(err) {
		format, args := e.Msg()
		path := userPath(e.Path())
		if strings.HasSuffix(format, "errors in empty disjunction:") {
			disjunctions[path] = true
			continue // its members follow
		}
		message := clean(fmt.Sprintf(format, args...))
		for cause := errors.Unwrap(error(e)); cause != nil; cause = errors.Unwrap(cause) {
			if inner, ok := cause.(errors.Error); ok {
				format, args := inner.Msg()
				message = strings.TrimPrefix(message+": "+clean(fmt.Sprintf(format, args...)), ": ")
				continue
			}
			message = strings.TrimPrefix(message+": "+clean(cause.Error()), ": ")
			break
		}
		if message == "" {
			message = clean(e.Error())
		}
		if unit != "" && message == "" {
			message = "the unit cannot be loaded"
		}
		code := classify(format, message, fallback)
		found.Add(withCUEHint(diag.New(code, path, message, userPositions(e)...)))
	}
	found = oneForEachPath(found)
	for i, d := range found {
		if disjunctions[d.Path] {
			found[i].Message = "no alternative fits: " + d.Message
		}
		if d.Path != "" {
			found[i].Message = d.Path + ": " + found[i].Message
		}
	}
	return found
}

// classify finds the code of one of CUE's messages.
func classify(format, message string, fallback diag.Code) diag.Code {
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(message, w) })
	}
	switch {
	case strings.HasPrefix(format, "conflicting values"), strings.HasPrefix(format, "invalid value"),
		has("field not allowed"):
		return diag.CUEConflict
	case has("incomplete", "non-concrete"):
		return diag.CUEIncomplete
	case has("cannot find package", "import failed", "cannot find module", "no dependency found",
		"imported and not used", "package is not in std"):
		return diag.CUEImport
	case has("no tag for", "tag "):
		return diag.CUETag
	case strings.HasPrefix(format, "reference "), has("undefined field", "unresolved reference", "not found"):
		return diag.CUEReference
	case has("expected ", "illegal ", "missing ',' ", "not terminated", "unexpected ", "invalid character", "found '"):
		return diag.CUESyntax
	}
	return fallback
}

var hints = map[diag.Code]string{
	diag.CUEConflict:   "one of them must be removed; a value that may be changed in lower directories is written as a default: *value | type",
	diag.CUEIncomplete: "write a concrete value",
	diag.CUEImport:     "a mesh imports CUE's own packages, packages of its module, and what is vendored in cue.mod/pkg",
	diag.CUEReference:  "a name is visible in its own file's scope and in the package's top level",
}

func withCUEHint(d diag.Diagnostic) diag.Diagnostic {
	if hint := hints[d.Code]; hint != "" {
		return d.WithHint("%s", hint)
	}
	return d
}

var internal = regexp.MustCompile(`#Repository\.?`)

// clean takes words of the schema's inside out of a message.
func clean(message string) string {
	message = internal.ReplaceAllString(message, "")
	message = strings.ReplaceAll(message, virtualRoot+"/", "")
	return strings.Join(strings.Fields(message), " ")
}

// userPath is the path without the schema's root.
func userPath(path []string) string {
	if len(path) > 0 && path[0] == rootDefinition {
		path = path[1:]
	}
	names := make([]string, len(path))
	for i, name := range path {
		names[i] = strings.Trim(name, `"`)
		if i == 0 && strings.Contains(name, "/") {
			return "" // a package, not a value
		}
	}
	return join(names)
}

// relativeName is a file's name below the module's root, as CUE's loader knows it.
func relativeName(name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, virtualRoot), "/")
}

// userPositions are an error's positions outside the schema, sorted.
func userPositions(e errors.Error) []source.Position {
	var positions []source.Position
	for _, pos := range append([]token.Pos{e.Position()}, e.InputPositions()...) {
		if !pos.IsValid() {
			continue
		}
		p := pos.Position()
		if p.Filename == "" || fromSchema(p.Filename) {
			continue
		}
		positions = append(positions, source.Position{File: relativeName(p.Filename), Line: p.Line, Column: p.Column})
	}
	slices.SortFunc(positions, source.Position.Compare)
	return slices.Compact(positions)
}

// oneForEachPath keeps the first finding of those that say the same of one
// path, as the members of a disjunction do, with the positions of all.
func oneForEachPath(found diag.List) diag.List {
	var kept diag.List
	at := map[string]int{}
	for _, d := range found {
		i, seen := at[d.Path]
		if d.Path == "" || !seen {
			at[d.Path] = len(kept)
			kept.Add(d)
			continue
		}
		merged := diag.New(kept[i].Code, d.Path, kept[i].Message, append(slices.Clone(kept[i].Positions),
			d.Positions...)...)
		merged.Hint = kept[i].Hint
		kept[i] = merged
	}
	return kept
}
