// Package source says where in the user's files something stands.
package source

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Position is a place in a file of the mesh repository. The zero value means
// that the place is not known, or that the thing was not written by a user.
type Position struct {
	// File is relative to the module's root, with forward slashes.
	File string
	// Line and Column count from 1; Column counts bytes, as CUE does.
	Line, Column int
}

// IsValid reports whether the place is known.
func (p Position) IsValid() bool { return p.File != "" }

// String is FILE:LINE:COLUMN, FILE alone when the line is not known, and empty
// for the zero value. The name of a file is [Printable].
func (p Position) String() string {
	p.File = Printable(p.File)
	return p.plain()
}

// plain is String with the name of the file as it is.
func (p Position) plain() string {
	if p.Line == 0 {
		return p.File
	}
	return p.File + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column)
}

// Compare orders by file, line and column.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column))
}

// MarshalText is String with the name of the file as it is.
func (p Position) MarshalText() ([]byte, error) { return []byte(p.plain()), nil }

// UnmarshalText reads what MarshalText wrote.
func (p *Position) UnmarshalText(text []byte) error {
	s := string(text)
	*p = Position{File: s}
	rest, column, ok := cutLast(s)
	if !ok {
		return nil
	}
	file, line, ok := cutLast(rest)
	if !ok {
		return fmt.Errorf("position %q: want FILE:LINE:COLUMN", s)
	}
	*p = Position{File: file, Line: line, Column: column}
	return nil
}

// cutLast splits off the number behind the last colon.
func cutLast(s string) (before string, number int, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, 0, false
	}
	n, err := strconv.Atoi(s[i+1:])
	return s[:i], n, err == nil
}
