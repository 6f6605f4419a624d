package ir

import (
	"cmp"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/source"
)

// AllowedRoutes are what services besides those of a gateway's own directory may have routes for there.
type AllowedRoutes struct {
	// Directories, or files, where the services are written, and Namespaces of theirs.
	Directories, Namespaces []string
	// Hosts are exact, "*.DOMAIN" or "*". Paths are as in rules; none is all.
	Hosts, Paths []string
	Pos          source.Position
}

// About reports whether they are about a service, which is written in that file.
func (a *AllowedRoutes) About(s *Service, file string) bool {
	return slices.Contains(a.Namespaces, s.Namespace) ||
		slices.ContainsFunc(a.Directories, func(dir string) bool { return Within(dir, file) })
}

// Covers reports whether all requests that a route takes are among theirs.
func (a *AllowedRoutes) Covers(m *Match) bool {
	return slices.ContainsFunc(a.Hosts, func(host string) bool { return HostCovers(host, m.Host) }) &&
		(a.Paths == nil || slices.ContainsFunc(a.Paths, func(path string) bool { return pathBelow(path, m.Path) }))
}

// Text is whom they let have routes, and for what, in words.
func (a *AllowedRoutes) Text() string {
	text := strings.Join(slices.Concat(a.Directories, a.Namespaces), ", ") + " for " + strings.Join(a.Hosts, ", ")
	if a.Paths != nil {
		text += " at " + strings.Join(a.Paths, ", ")
	}
	return text
}

// pathBelow reports whether a rule's path matches all paths that a route takes.
func pathBelow(path string, m PathMatch) bool {
	below, all := strings.CutSuffix(path, "*")
	switch {
	case path == "/*":
		return true
	case m.Kind == MatchExact && !all:
		return m.Value == path
	}
	return all && (m.Kind == MatchExact || m.Kind == MatchPrefix) && strings.HasPrefix(m.Value, below)
}

// ComparePrecedence orders routes of several owners as the Gateway API does (HTTPRouteRule.matches): hosts from the
// most specific one; exact paths first, then regular expressions, then prefixes, the longest first; then routes with a
// method, with more headers and with more query parameters. Where that leaves them equal it is by the file and line.
func ComparePrecedence(a, b *Route) int {
	kind := func(p PathMatch) int {
		return slices.Index([]MatchKind{MatchExact, MatchRegex, MatchPrefix, ""}, p.Kind)
	}
	method := func(m *Match) int { return min(len(m.Method), 1) }
	m, n := &a.Match, &b.Match
	return cmp.Or(
		cmp.Compare(Specific(n.Host), Specific(m.Host)),
		cmp.Compare(kind(m.Path), kind(n.Path)),
		cmp.Compare(len(n.Path.Value), len(m.Path.Value)),
		cmp.Compare(method(n), method(m)),
		cmp.Compare(len(n.Headers), len(m.Headers)),
		cmp.Compare(len(n.Query), len(m.Query)),
		strings.Compare(a.Pos.File, b.Pos.File),
		cmp.Compare(a.Pos.Line, b.Pos.Line),
		cmp.Compare(a.Pos.Column, b.Pos.Column),
	)
}
