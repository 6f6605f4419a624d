package diff

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

func (s *space) methods() []choice {
	methods := []string{
		"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "PROPFIND", "REPORT",
		"SEARCH",
	} // as many as nobody names all of them
	for i := range s.conditions {
		methods = append(methods, s.conditions[i].methods...)
	}
	var out []choice
	for _, method := range methods {
		out = append(out, s.choose(func(c *condition) bool {
			return c.methods == nil || slices.Contains(c.methods, method)
		}, func(r *try.Request) { r.Method = method }))
	}
	return out
}

// texts are the values of the headers, or of the query's parameters, that conditions name: none, one of each sort, and
// as many together as the treatment of a request can depend on.
func (s *space) texts(of func(*condition) []textMatch, form string,
	set func(*try.Request, string, []string),
) (parts [][]choice, whole bool) {
	patterns := map[string][]string{}
	for i := range s.conditions {
		for _, m := range of(&s.conditions[i]) {
			if m.Name == "host" {
				continue // it is where the request goes
			}
			if p := pattern(m.Kind, m.Value); !slices.Contains(patterns[m.Name], p) {
				patterns[m.Name] = append(patterns[m.Name], p)
			}
		}
	}
	whole = true
	for _, name := range slices.Sorted(maps.Keys(patterns)) {
		values, all := samples(form, patterns[name])
		whole = whole && all
		most := 1 // of a query only the first counts
		if form == legalValue {
			most = s.most(func(c *condition) (positive, inverted int) { return countOf(of(c), name) })
		}
		lists, all := together(values, patterns[name], most)
		whole = whole && all
		var choices []choice
		for _, list := range lists {
			choices = append(choices, s.choose(func(c *condition) bool {
				return !slices.ContainsFunc(of(c), func(m textMatch) bool {
					return m.Name == name && !try.Holds(m.StringMatch, append(list[:len(list):len(list)], m.added...))
				})
			}, func(r *try.Request) { set(r, name, list) }))
		}
		parts = append(parts, choices)
	}
	return parts, whole
}

// countOf is how many matches of that name there are: of those that a value makes true, and of those that a value
// makes false.
func countOf(list []textMatch, name string) (positive, inverted int) {
	for _, m := range list {
		switch {
		case m.Name != name:
		case m.Invert || m.Kind == ir.MatchAbsent:
			inverted++
		default:
			positive++
		}
	}
	return positive, inverted
}

func setHeader(r *try.Request, name string, values []string) {
	r.Headers = slices.Clone(r.Headers)
	for _, v := range values {
		r.Headers = append(r.Headers, ir.Header{Name: name, Value: v})
	}
}

func setQuery(r *try.Request, name string, values []string) {
	for _, v := range values {
		separator := "?"
		if strings.Contains(r.Path, "?") {
			separator = "&"
		}
		r.Path += separator + name + "=" + v
	}
}

// pattern is a regular expression of the texts that a match takes.
func pattern(kind ir.MatchKind, value string) string {
	switch kind {
	case ir.MatchExact:
		return quote(value)
	case ir.MatchPrefix:
		return quote(value) + ".*"
	case ir.MatchSuffix:
		return ".*" + quote(value)
	case ir.MatchRegex:
		return "(?:" + value + ")"
	}
	return ".*"
}

// times are now, and when what ends has ended.
func (s *space) times() []choice {
	now := time.Now()
	times := []time.Time{{}}
	for i := range s.conditions {
		if until := s.conditions[i].until; until.After(now) {
			times = append(times, until.Add(time.Second))
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	var out []choice
	for _, at := range times {
		out = append(out, s.choose(func(c *condition) bool {
			return c.until.IsZero() || !at.After(c.until) && (!at.IsZero() || !now.After(c.until))
		}, func(r *try.Request) { r.At = at }))
	}
	return out
}

// addresses are of each range, at its ends and beside it; nil when no condition has ranges.
func (s *space) addresses() []choice {
	var list []netip.Addr
	for i := range s.conditions {
		for _, p := range s.conditions[i].ranges {
			first := p.Masked().Addr()
			list = append(list, first, last(p))
			if a := last(p).Next(); a.IsValid() {
				list = append(list, a)
			}
			if a := first.Prev(); a.IsValid() {
				list = append(list, a)
			}
		}
	}
	if list != nil { // and of each kind one that most ranges have not
		list = append(list, netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8::7"))
	}
	var out []choice
	for _, a := range list {
		out = append(out, s.choose(func(c *condition) bool {
			return c.ranges == nil || slices.ContainsFunc(c.ranges, func(p netip.Prefix) bool { return p.Contains(a) })
		}, func(r *try.Request) { r.IP = a }))
	}
	return out
}

// last is the last address of a range.
func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// tokens are none, one of each issuer, and then the claims that conditions ask for: none, each value, and as many
// together as the treatment of a request can depend on.
func (s *space) tokens() (parts [][]choice, whole bool) {
	values := map[[2]string][]string{} // by issuer and claim
	asked := false
	for i := range s.conditions {
		j := s.conditions[i].jwt
		asked = asked || j != nil || s.conditions[i].token != nil
		if j == nil {
			continue
		}
		for _, c := range j.Claims {
			at := [2]string{j.Issuer, c.Name}
			values[at] = append(values[at], c.Values...)
		}
	}
	if !asked {
		return nil, true
	}
	first := []choice{s.choose(func(c *condition) bool { return c.jwt == nil && (c.token == nil || c.token(nil)) },
		func(*try.Request) {})}
	for _, issuer := range s.issuers {
		token := &try.Token{Issuer: issuer, Claims: map[string][]string{}}
		first = append(first, s.choose(func(c *condition) bool {
			return (c.jwt == nil || c.jwt.Issuer == issuer) && (c.token == nil || c.token(token))
		}, func(r *try.Request) { r.Token = token }))
	}
	parts, whole = [][]choice{first}, true
	for _, at := range slices.SortedFunc(maps.Keys(values),
		func(a, b [2]string) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }) {
		all := values[at]
		slices.Sort(all)
		all = slices.Compact(all)
		exact := make([]string, len(all))
		for i, v := range all {
			exact[i] = quote(v)
		}
		lists, fit := together(all, exact, s.most(func(c *condition) (positive, inverted int) {
			if c.jwt != nil && c.jwt.Issuer == at[0] &&
				slices.ContainsFunc(c.jwt.Claims, func(claim ir.Claim) bool { return claim.Name == at[1] }) {
				return 1, 0
			}
			return 0, 0
		}))
		whole = whole && fit
		var choices []choice
		for _, list := range lists {
			choices = append(choices, s.choose(func(c *condition) bool {
				return c.jwt == nil || c.jwt.Issuer != at[0] ||
					!slices.ContainsFunc(c.jwt.Claims, func(claim ir.Claim) bool {
						return claim.Name == at[1] &&
							!slices.ContainsFunc(claim.Values, func(v string) bool { return slices.Contains(list, v) })
					})
			}, func(r *try.Request) {
				if r.Token == nil || r.Token.Issuer != at[0] || list == nil {
					return
				}
				r.Token = &try.Token{Issuer: at[0], Claims: maps.Clone(r.Token.Claims)}
				r.Token.Claims[at[1]] = list
			}))
		}
		parts = append(parts, choices)
	}
	return parts, whole
}
