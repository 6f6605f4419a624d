package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/mattn/go-isatty"
)

// plain writes text for people. Whatever is in it, from a spec, a proxy, a cluster or a commit, stays text: to a
// terminal, to GitHub, GitLab, Azure or TeamCity, which take some lines of a job's output as commands, and to whoever
// reads it. What would be more than text is written as its escape, \u001b, which in a string of JSON or CUE is the
// same character still. So these forms go through it too; those that do not, and have escapes of their own, are
// written to [exact].
type plain struct {
	to io.Writer
	// colors lets the sequences through that set colours and do nothing else.
	colors bool
	// line is the end of the line so far, as it was written.
	line []byte
	// blank says that the line has nothing but white space so far, and colon that it has one colon besides.
	blank, colon bool
	// rest is the beginning of a character or a sequence whose end was not written yet.
	rest []byte
}

// longest is how much of a line is looked back at, in bytes.
const longest = 64

func newPlain(w io.Writer) *plain { return &plain{to: w, colors: colored(w), blank: true} }

// exact is where forms are written that are not text for people, byte by byte: for programs, with escapes of their own.
func exact(w io.Writer) io.Writer {
	if p, ok := w.(*plain); ok {
		return p.to
	}
	return w
}

// terminal is the file of a writer, if it is a terminal that can move its cursor; else nil.
func terminal(w io.Writer) *os.File {
	f, ok := exact(w).(*os.File)
	if !ok || !isatty.IsTerminal(f.Fd()) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return f
}

// color is a sequence that sets colours and nothing else (ECMA-48, SGR), and colorBegun the beginning of one.
var (
	color      = regexp.MustCompile(`^\x1b\[[0-9;]{0,16}m`)
	colorBegun = regexp.MustCompile(`^\x1b(\[[0-9;]{0,16})?$`)
)

// Write never has more to say of data than the writer below it.
func (p *plain) Write(data []byte) (int, error) {
	in := append(p.rest, data...)
	out := make([]byte, 0, len(in))
	for len(in) > 0 {
		if p.colors && in[0] == '\x1b' {
			if sequence := color.Find(in); sequence != nil {
				out, in = append(out, sequence...), in[len(sequence):]
				continue
			}
			if colorBegun.Match(in) {
				break
			}
		}
		if !utf8.FullRune(in) {
			break
		}
		r, size := utf8.DecodeRune(in)
		out = p.append(out, r, size)
		in = in[size:]
	}
	p.rest = append([]byte(nil), in...)
	if _, err := p.to.Write(out); err != nil {
		return 0, err
	}
	return len(data), nil
}

// append writes a character of so many bytes, or its escape.
func (p *plain) append(out []byte, r rune, size int) []byte {
	switch {
	case r == '\n':
		p.line, p.blank, p.colon = p.line[:0], true, false
		return append(out, '\n')
	case r == utf8.RuneError && size <= 1, notText(r), p.commands(r):
		p.blank, p.colon, p.line = false, false, append(p.line, '\\')
		return appendEscape(out, r)
	}
	p.colon = p.blank && r == ':'
	p.blank = p.blank && unicode.IsSpace(r)
	if len(p.line) >= longest {
		p.line = append(p.line[:0], p.line[longest/2:]...)
	}
	p.line = utf8.AppendRune(p.line, r)
	return utf8.AppendRune(out, r)
}

// notText are characters that control a terminal, change the direction of what follows or cannot be seen.
func notText(r rune) bool {
	return r != '\t' && (unicode.IsControl(r) ||
		unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Variation_Selector) ||
		unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r))
}

// commands reports whether the character makes what is written before it on its line a command: "::set-env" where a
// line begins, "##[command]" and "##vso[task]" anywhere, or "section_start:" anywhere.
func (p *plain) commands(r rune) bool {
	switch r {
	case ':':
		return p.colon || bytes.HasSuffix(p.line, []byte("section_start")) ||
			bytes.HasSuffix(p.line, []byte("section_end"))
	case '[':
		return bracketed.Match(p.line)
	}
	return false
}

// bracketed is what a command in brackets begins with.
var bracketed = regexp.MustCompile(`##[A-Za-z-]*$`)

// appendEscape writes a character as strings of JSON may have it.
func appendEscape(out []byte, r rune) []byte {
	if a, b := utf16.EncodeRune(r); a != unicode.ReplacementChar {
		return fmt.Appendf(out, `\u%04x\u%04x`, a, b)
	}
	return fmt.Appendf(out, `\u%04x`, r)
}
