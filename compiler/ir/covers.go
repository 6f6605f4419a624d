package ir

import (
	"slices"
	"strings"
)

// Covers reports whether it takes every request that another one takes. It may say no
// where the answer is yes (two different regular expressions), never the other
// way round.
func (m *Match) Covers(other *Match) bool {
	return hostCovers(m.Host, other.Host) &&
		listenersCover(m.Listeners, other.Listeners) &&
		pathCovers(m.Path, other.Path) &&
		(m.Method == "" || m.Method == other.Method) &&
		stringsCover(m.Headers, other.Headers) &&
		stringsCover(m.Query, other.Query)
}

// hostCovers reports whether a host, "*.DOMAIN", or "" for all, covers another.
func hostCovers(a, b string) bool {
	return a == "" || HostCovers(a, b)
}

// listenersCover reports whether the listeners of a, nil for all, are those of b and maybe more.
func listenersCover(a, b []string) bool {
	return a == nil || len(b) > 0 &&
		!slices.ContainsFunc(b, func(name string) bool { return !slices.Contains(a, name) })
}

func pathCovers(a, b PathMatch) bool {
	switch a.Kind {
	case "":
		return true
	case MatchExact:
		return b == a
	case MatchPrefix:
		if a.Value == "/" {
			return true // every path begins so
		}
		return (b.Kind == MatchExact || b.Kind == MatchPrefix) && strings.HasPrefix(b.Value, a.Value)
	default:
		if b.Kind == MatchRegex && ungrouped.Replace(a.Value) == ungrouped.Replace(b.Value) {
			return true
		}
		return a.Value == ".*" || a.Value == "/.*" || b == a || b.Kind == MatchExact && a.Takes(b.Value)
	}
}

// ungrouped takes the groups out that a template's variables make: they name what is
// matched, and match the same.
var ungrouped = strings.NewReplacer("([^/]+)", "[^/]+", "(.*)", ".*")

// stringsCover reports whether everything that a asks for, b asks for too.
func stringsCover(a, b []StringMatch) bool {
	for _, asked := range a {
		if !slices.ContainsFunc(b, func(given StringMatch) bool {
			return given.Name == asked.Name && implies(given, asked)
		}) {
			return false
		}
	}
	return true
}

// implies reports whether what matches a matches b.
func implies(a, b StringMatch) bool {
	if a.Kind == b.Kind && a.Value == b.Value && a.Invert == b.Invert {
		return true
	}
	// A header may stand there twice, and then either value matches: that one is
	// another says nothing of the other.
	if a.Invert || b.Invert {
		return false
	}
	switch b.Kind {
	case MatchPresent:
		return a.Kind != MatchAbsent
	case MatchPrefix:
		return (a.Kind == MatchExact || a.Kind == MatchPrefix) && strings.HasPrefix(a.Value, b.Value)
	case MatchSuffix:
		return (a.Kind == MatchExact || a.Kind == MatchSuffix) && strings.HasSuffix(a.Value, b.Value)
	}
	return a.Kind == MatchExact && b.Takes(a.Value)
}
