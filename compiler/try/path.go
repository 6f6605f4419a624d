package try

import (
	"fmt"
	"strings"
)

// normalized is a path as a proxy reads it, and its query with the "?" (Envoy, HttpConnectionManager: normalize_path,
// merge_slashes, path_with_escaped_slashes_action). Why is set when the request is refused with 400 for its path, and
// unsure when it has characters with which versions of HTTP and clients do this and that.
//
// Escaped slashes are kept where that is said. What is not refused is normal: reading it once more changes nothing, so
// that all proxies on the way, and the application, mean the same path.
func normalized(path string, slashes bool) (out, query, why, unsure string) {
	if strings.Contains(path, "#") {
		return "", "", "a fragment in its path", ""
	}
	unsure = strange(path)
	if i := strings.IndexByte(path, '?'); i >= 0 {
		path, query = path[:i], path[i:]
	}
	if lower := strings.ToLower(path); !slashes && (strings.Contains(lower, "%2f") || strings.Contains(lower, "%5c")) {
		return "", "", "an escaped slash in its path", ""
	}
	out = withoutParametersOfDots(path)
	if strings.Contains(out, "%00") || strings.Contains(out, "\x00") {
		return "", "", "a zero byte in its path", ""
	}
	out = mergeSlashes(canonical(out))
	if dots := dotsWithParameters(out); dots != "" {
		return "", "", fmt.Sprintf("the segment %q in its path, which the application may read as %q", dots,
			strings.TrimRight(dots, ";")), ""
	}
	return out, query, "", unsure
}

// asWritten is a path as a proxy reads it that leaves it as it is; see [normalized].
func asWritten(path string) (out, query, why, unsure string) {
	if strings.Contains(path, "#") {
		return "", "", "a fragment in its path", ""
	}
	if i := strings.IndexByte(path, '?'); i >= 0 {
		path, query = path[:i], path[i:]
	}
	return path, query, "", strange(path + query)
}

// strange says which character of a path versions of HTTP and clients treat differently; "" for none.
func strange(path string) (unsure string) {
	for _, c := range []byte(path) {
		if c <= ' ' || c >= 0x7f {
			unsure = fmt.Sprintf("its path has the character %q", rune(c))
		}
	}
	return unsure
}

// dotsWithParameters is ".;" or "..;", when a segment of the path begins so; "" when none does.
func dotsWithParameters(path string) string {
	for _, dots := range [...]string{".;", "..;"} {
		if strings.Contains(path, "/"+dots) {
			return dots
		}
	}
	return ""
}

// withoutParametersOfDots takes the parameters of the segments "." and ".." away: "/..;x/a" is "/../a". It sees them
// where they are not escaped, alone.
func withoutParametersOfDots(path string) string {
	if dotsWithParameters(path) == "" {
		return path
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if dots, _, _ := strings.Cut(s, ";"); i > 0 && (dots == "." || dots == "..") {
			segments[i] = dots
		}
	}
	return strings.Join(segments, "/")
}

// mergeSlashes makes one slash of several; of a path of slashes alone, however many, two stay.
func mergeSlashes(path string) string {
	if !strings.Contains(path, "//") {
		return path
	}
	if strings.Trim(path, "/") == "" {
		return "//"
	}
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return path
}

// canonical takes dots out of a path, makes slashes of backslashes, writes out what needs no escape and escapes
// what does.
func canonical(path string) string {
	c := canonicalizer{in: path, lone: -1}
	for c.at < len(path) {
		c.next()
	}
	return string(c.out)
}

// canonicalizer reads a path character by character, as Envoy's own does (GoogleURL, CanonicalizePath).
type canonicalizer struct {
	in  string
	at  int
	out []byte
	// lone is where in out the last "%" stands that begins no escape; -1 for nowhere.
	lone int
}

func (c *canonicalizer) next() {
	if n := dot(c.in[c.at:]); n > 0 {
		c.dots(n)
		return
	}
	b := c.in[c.at]
	switch {
	case b == '\\':
		c.out = append(c.out, '/')
	case b == '%' && isEscape(c.in[c.at:]):
		c.escape()
		return
	case b == '%':
		c.lone = len(c.out)
		c.out = append(c.out, b)
	case strings.IndexByte("\"<>^`{|}", b) >= 0 || b <= ' ' || b >= 0x7f:
		c.out = fmt.Appendf(c.out, "%%%02X", b)
	default:
		c.out = append(c.out, b)
	}
	c.at++
}

// dots reads a dot of that length, and what belongs to it when its segment is "." or "..".
func (c *canonicalizer) dots(length int) {
	rest := c.in[c.at+length:]
	if c.out == nil || c.out[len(c.out)-1] != '/' {
		c.out = append(c.out, '.')
		c.at += length
		return
	}
	if n, ends := segmentEnd(rest); ends {
		c.at += length + n
		return
	}
	if second := dot(rest); second > 0 {
		if n, ends := segmentEnd(rest[second:]); ends {
			c.at += length + second + n
			c.up()
			return
		}
	}
	c.out = append(c.out, '.')
	c.at += length
}

// up takes the last segment off, but for the slash before it.
func (c *canonicalizer) up() {
	if i := strings.LastIndexByte(string(c.out[:len(c.out)-1]), '/'); i >= 0 {
		c.out = c.out[:i+1]
	}
	if c.lone >= len(c.out) {
		c.lone = -1
	}
}

// escape writes out an escaped character that stands for itself. Together with a "%" before it that was no escape,
// that must not make a new one, whose "%" is escaped then.
func (c *canonicalizer) escape() {
	b := unhex(c.in[c.at+1])<<4 | unhex(c.in[c.at+2])
	if !isUnreserved(b) {
		c.out = append(c.out, c.in[c.at:c.at+3]...)
		c.at += 3
		return
	}
	c.at += 3
	c.out = append(c.out, b)
	if c.lone < 0 || c.lone+3 < len(c.out) {
		return
	}
	tail := string(c.out[c.lone+1:])
	made := "%" + tail
	if len(tail) == 1 && c.at < len(c.in) {
		made += c.in[c.at : c.at+1]
	}
	if isEscape(made) {
		c.out = append(c.out[:c.lone+1], "25"+tail...)
	}
}

// dot is how long a dot is with which the text begins, escaped or not; 0 when it begins with none.
func dot(text string) int {
	switch {
	case strings.HasPrefix(text, "."):
		return 1
	case len(text) >= 3 && strings.EqualFold(text[:3], "%2e"):
		return 3
	}
	return 0
}

// segmentEnd reports whether a segment ends where the text begins, and how long its slash is.
func segmentEnd(text string) (length int, ends bool) {
	if text == "" {
		return 0, true
	}
	return 1, text[0] == '/' || text[0] == '\\'
}

// isEscape reports whether the text begins with a character that is escaped.
func isEscape(text string) bool {
	return len(text) >= 3 && text[0] == '%' && isHex(text[1]) && isHex(text[2])
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

// isUnreserved is for characters that need no escape (RFC 3986, section 2.3).
func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}
