package try

import (
	"strings"
)

// normalized is a path as a proxy reads it, without its query: what is escaped without need is not any more,
// "." and ".." are gone and slashes are single (Envoy, HttpConnectionManager: normalize_path,
// merge_slashes). Why is set when the request is refused with 400 for its path, and unsure when it has
// characters that have no place in a path, with which clients and proxies do this and that.
func normalized(path string) (out, query, why, unsure string) {
	path, query, _ = strings.Cut(path, "?")
	lower := strings.ToLower(path)
	if strings.Contains(lower, "%00") {
		return "", "", "a zero byte in its path", ""
	}
	if strings.Contains(lower, "%2f") || strings.Contains(lower, "%5c") {
		return "", "", "an escaped slash in its path", ""
	}
	var segments []string
	segment := &strings.Builder{}
	end := func(last bool) {
		switch text := segment.String(); text {
		case ".":
			if last {
				segments = append(segments, "")
			}
		case "..":
			segments = segments[:max(0, len(segments)-1)]
			if last {
				segments = append(segments, "")
			}
		default:
			segments = append(segments, text)
		}
		segment.Reset()
	}
	rest := strings.TrimPrefix(path, "/")
	for i := 0; i < len(rest); i++ {
		c := rest[i]
		switch {
		case c == '/' || c == '\\':
			end(false)
		case c == '%' && i+2 < len(rest) && isHex(rest[i+1]) && isHex(rest[i+2]):
			if decoded := unhex(rest[i+1])<<4 | unhex(rest[i+2]); isUnreserved(decoded) {
				segment.WriteByte(decoded)
			} else {
				segment.WriteString(rest[i : i+3])
			}
			i += 2
		default:
			if !isPathCharacter(c) {
				unsure = "its path has the character " + string(rune(c))
			}
			segment.WriteByte(c)
		}
	}
	end(true)
	joined := "/" + strings.Join(segments, "/")
	for strings.Contains(joined, "//") {
		joined = strings.ReplaceAll(joined, "//", "/")
	}
	return joined, query, "", unsure
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

// isPathCharacter is for those that may stand in a path as they are (RFC 3986, section 3.3), and for "%" before no
// escape, which stays.
func isPathCharacter(c byte) bool {
	return isUnreserved(c) || strings.IndexByte("!$&'()*+,;=:@%", c) >= 0
}
