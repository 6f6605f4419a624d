package manifest

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// appendString writes a string as a plain, literal or quoted scalar; the lines
// of a literal one are indented by that much.
func appendString(out []byte, s string, indent int) []byte {
	if !isLiteral(s) {
		return appendLine(out, s)
	}
	out = append(out, '|')
	switch body := strings.TrimRight(s, "\n"); len(s) - len(body) {
	case 0:
		out = append(out, '-')
	case 1:
	default:
		out = append(out, '+')
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(s, "\n"), "\n") {
		out = append(out, '\n')
		if line != "" {
			for range indent {
				out = append(out, ' ')
			}
			out = append(out, line...)
		}
	}
	return out
}

// isLiteral reports whether a string of several lines can stand as they are:
// printable, without white space that an editor may drop or that a reader may
// take for indentation.
func isLiteral(s string) bool {
	if !strings.Contains(s, "\n") || s[0] == '\n' || s[0] == ' ' || strings.HasSuffix(s, " ") ||
		strings.Contains(s, " \n") {
		return false
	}
	for _, r := range s {
		if r != '\n' && !isPrintable(r) {
			return false
		}
	}
	return !isCommand(s)
}

// isCommand reports whether one of the lines would be a command of a CI that shows them: "::set-env" of GitHub where a
// line begins, "##[group]" of it and "##vso[task]" of Azure anywhere. Quoted and on one line they are none.
func isCommand(s string) bool {
	if strings.Contains(s, "##") {
		return true
	}
	for line := range strings.SplitSeq(s, "\n") {
		if strings.HasPrefix(strings.TrimLeft(line, " \t"), "::") {
			return true
		}
	}
	return false
}

// appendLine writes a string on one line, plain or quoted.
func appendLine(out []byte, s string) []byte {
	if isPlain(s) {
		return append(out, s...)
	}
	out = append(out, '"')
	command := isCommand(s)
	for _, r := range s {
		switch {
		case command && r == '[':
			out = append(out, "\\x5B"...)
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case r == '\n':
			out = append(out, '\\', 'n')
		case r == '\t':
			out = append(out, '\\', 't')
		case isPrintable(r):
			out = utf8.AppendRune(out, r)
		case r <= 0xFF:
			out = fmt.Appendf(out, "\\x%02X", r)
		case r <= 0xFFFF:
			out = fmt.Appendf(out, "\\u%04X", r)
		default:
			out = fmt.Appendf(out, "\\U%08X", r)
		}
	}
	return append(out, '"')
}

// isPrintable reports whether a character may stand unescaped on a line: c-printable
// (YAML 1.2.2, 5.1) without the line breaks of YAML 1.1, the tab and the byte
// order mark.
func isPrintable(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7F && r <= 0xA0, r == 0x2028, r == 0x2029, r == 0xFEFF, r == 0xFFFE, r == 0xFFFF:
		return false
	}
	return true
}

// isPlain reports whether every reader takes the bare characters for this very
// string. It is stricter than YAML: whatever could be a number, a date, a boolean
// or null under YAML 1.1 or 1.2 is not plain.
func isPlain(s string) bool {
	if s == "" || isWord(s) {
		return false
	}
	switch c := s[0]; {
	case isLetter(c), c == '_', c == '/', strings.HasPrefix(s, "./"):
	case strings.HasPrefix(s, "--") && len(s) > 2 && isLetter(s[2]): // a flag
	case isDigit(c) && strings.ContainsFunc(s, isUnit): // "10s" is; "1e3" and "10.0.0.1" might be numbers
	default:
		return false
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case isLetter(c), isDigit(c), strings.IndexByte("_-./+=@*()$^;,<>&!|", c) >= 0:
		case c == ':' && i+1 < len(s) && s[i+1] != ' ':
		case c == ' ' && i+1 < len(s) && s[i+1] != ' ' && s[i+1] != '#':
		default:
			return false
		}
	}
	return true
}

// isWord reports whether some reader takes the word for something else than a
// string (YAML 1.1's types bool, null and float).
func isWord(s string) bool {
	if len(s) > len("infinity") {
		return false
	}
	switch strings.ToLower(s) {
	case "y", "yes", "n", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity":
		return true
	}
	return false
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isUnit reports whether a letter is in no number (0x1F, 0o7, 1e3, 0x1p4) and
// no date (2001-12-14t21:59:43Z).
func isUnit(r rune) bool {
	return r < utf8.RuneSelf && isLetter(byte(r)) && !strings.ContainsRune("abcdefoptxz", r|0x20)
}

// appendNumber writes a JSON number so that YAML 1.1 reads a number too: there
// an exponent needs a sign, and a dot before it.
func appendNumber(out, number []byte) []byte {
	e := bytes.IndexAny(number, "eE")
	if e < 0 {
		return append(out, number...)
	}
	mantissa, exponent := number[:e], number[e+1:]
	out = append(out, mantissa...)
	if bytes.IndexByte(mantissa, '.') < 0 {
		out = append(out, ".0"...)
	}
	out = append(out, 'e')
	if isDigit(exponent[0]) {
		out = append(out, '+')
	}
	return append(out, exponent...)
}

// unescape is what the inside of a valid JSON string says.
func unescape(raw []byte) string {
	s := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			s = append(s, raw[i])
			continue
		}
		i++
		switch c := raw[i]; c {
		case 'b':
			s = append(s, '\b')
		case 'f':
			s = append(s, '\f')
		case 'n':
			s = append(s, '\n')
		case 'r':
			s = append(s, '\r')
		case 't':
			s = append(s, '\t')
		case 'u':
			r := hex(raw[i+1:])
			i += 4
			if utf16.IsSurrogate(r) && i+6 < len(raw) && raw[i+1] == '\\' && raw[i+2] == 'u' {
				if pair := utf16.DecodeRune(r, hex(raw[i+3:])); pair != utf8.RuneError {
					r = pair
					i += 6
				}
			}
			s = utf8.AppendRune(s, r)
		default:
			s = append(s, c)
		}
	}
	return strings.ToValidUTF8(string(s), "\uFFFD")
}

// hex is the number that the first four digits give.
func hex(digits []byte) rune {
	n, err := strconv.ParseUint(string(digits[:4]), 16, 16)
	if err != nil {
		panic(err) // the JSON is valid
	}
	return rune(n)
}
