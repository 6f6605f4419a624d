package link

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/source"
)

// inOrder refuses a path that no request has any more when routes and rules see it:
// proxies put paths in order first (Envoy, "normalize_path", "merge_slashes",
// "path_with_escaped_slashes_action"). Of a prefix the last segment may go on; a template's
// variables stand for what needs no escape.
func (l *linker) inOrder(here place, path string, prefix, template bool, pos source.Position) {
	read := path
	if template {
		read = strings.NewReplacer("{", "", "}", "").Replace(path)
	}
	reason, hint := notInOrder(read, prefix)
	if reason != "" {
		l.add(diag.BadFormat, here, fmt.Sprintf("no request has the path %q: %s", path, reason), pos).hint("%s", hint)
	}
}

var escaped = regexp.MustCompile(`(?i)%(2f|5c|00)`)

// unreserved are characters that stand for themselves, escaped or not (RFC 3986,
// section 2.3).
var unreserved = regexp.MustCompile(`(?i)%(2d|2e|5f|7e|3[0-9]|4[1-9a-f]|5[0-9a]|6[1-9a-f]|7[0-9a])`)

func notInOrder(path string, prefix bool) (reason, hint string) {
	segments := strings.Split(path, "/")
	last := len(segments) - 1
	for i, s := range segments {
		if (s == "." || s == "..") && !(prefix && i == last) {
			return "proxies remove dot segments", "write the path without them"
		}
		if s == "" && i > 0 && i < last {
			return "proxies merge repeated slashes", "write one slash"
		}
	}
	switch {
	case strings.ContainsFunc(path, onlyEscaped):
		return "it has a character that is always sent percent-encoded", "write it as %XX"
	case strings.Contains(path, "/.;") || strings.Contains(path, "/..;"):
		return "proxies refuse parameters after dot segments", "remove them"
	case strings.Contains(path, `\`):
		return "proxies turn a backslash into a slash", "write /"
	case escaped.MatchString(path):
		return "proxies refuse escaped slashes and zero bytes", "remove it"
	case unreserved.MatchString(path):
		return "proxies decode characters that need no encoding", fmt.Sprintf("write the character instead of %s",
			unreserved.FindString(path))
	}
	return "", ""
}

// onlyEscaped reports whether proxies escape a character where it is not escaped yet.
func onlyEscaped(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"<>^`{|}", r) }

// sendable refuses names of headers that no request may carry through a proxy.
func (l *linker) sendable(here place, name string, pos source.Position) {
	if strings.Contains(name, "_") {
		l.add(diag.NoEffect, here,
			fmt.Sprintf("the name %s has an underscore, and every proxy of the mesh refuses such requests", name), pos).
			hint("write %s", strings.ReplaceAll(name, "_", "-"))
	}
}
