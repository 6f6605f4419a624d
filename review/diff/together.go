package diff

import "slices"

// maxLists bounds how many lists of values of one header or claim are tried.
const maxLists = maxRequests

// most is how many values of one header or claim a request may need until more of them change nothing that matters.
// What happens to a request in a mesh is decided by one route at each stage and by one rule at each end, in two
// meshes, and where proxies of both are mixed by one rule more. A request with further values can do without them: to
// take one away makes no other route or rule match, but for inverted ones, each of which may need a value that keeps
// it from matching. Count says how many matches of the header or claim a condition has that a value makes true, and
// that one makes false.
func (s *space) most(count func(*condition) (positive, inverted int)) int {
	var positive [stages]int
	inverted := 0
	for i := range s.conditions {
		c := &s.conditions[i]
		p, n := count(c)
		positive[c.stage] = max(positive[c.stage], p)
		inverted += n
	}
	ends := 3 * max(1, s.ends) * positive[atRule]
	return max(1, 3*positive[atDoor]+2*positive[atGateway]+2*positive[atRoute]+ends+inverted)
}

// together are lists of values, the shortest first: none, and of those with at most so many values one for each
// combination of patterns that one of its values matches. Whole is false when there are more than maxLists.
func together(values, patterns []string, most int) (lists [][]string, whole bool) {
	type list struct {
		values  []string
		matched []bool
	}
	takes := make([]func(string) bool, len(patterns))
	for i, p := range patterns {
		takes[i] = matcher(p)
	}
	single := make([][]bool, len(values))
	for i, v := range values {
		for _, t := range takes {
			single[i] = append(single[i], t(v))
		}
	}
	lists = [][]string{nil}
	known := map[string]bool{}
	level := []list{{nil, make([]bool, len(patterns))}}
	for range most {
		var next []list
		for _, l := range level {
			for i, v := range values {
				matched := slices.Clone(l.matched)
				for k, m := range single[i] {
					matched[k] = matched[k] || m
				}
				if key := bits(matched); !known[key] {
					if len(lists) == maxLists {
						return lists, false
					}
					known[key] = true
					longer := append(slices.Clone(l.values), v)
					lists, next = append(lists, longer), append(next, list{longer, matched})
				}
			}
		}
		level = next
	}
	return lists, true
}
