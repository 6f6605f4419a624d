package trytest

import "strings"

// pathParts are what proxies, servers and their libraries were found to read in different ways, among what they all
// read alike.
var pathParts = []string{
	"/", "/", "/", "/", "//", `\`, ".", ".", "..", ";", ";", "%2e", "%2E", "%2e%2E", "/..;", "/%2e;", "a", "b", "admin",
	"A", "%C3%A9", "%c0%ae",
	"%25", "%252e", "%25%32%65", "%", "%2", "%zz", "%32", "%65", "%45", "2", "e", "%3b", "%3B", "%61", "%7e", "%5a",
	"%20", "%0a", "%3F", "%23", "%u002e",
	`"`, "<", ">", "^", "`", "{", "|", "[", "]", "~", "-", "_", ",", "=", "@", ":", "!", "$", "*", "+", "'", "(",
}

// rareParts have a request refused, or end its path.
var rareParts = []string{"%2f", "%2F", "%5c", "%5C", "%00", "?", "?", "#", "?/../", "é", "\xff", "\xc0\xae"}

// Path is a random path with its query, as an attacker would try them: it begins with "/", and has no space and no end
// of a line.
func (g *Random) Path() string {
	var b strings.Builder
	b.WriteString("/")
	for range g.IntN(9) {
		if g.chance(25) {
			b.WriteString(g.one(rareParts...))
		} else {
			b.WriteString(g.one(pathParts...))
		}
	}
	if g.chance(3) {
		b.WriteString(g.one("/admin", "/..;/admin", "/%2e%2e;/admin", "/../admin", "/%2e;x/admin", `\admin`, "admin"))
	}
	return b.String()
}
