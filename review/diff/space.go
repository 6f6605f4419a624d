package diff

import (
	"net/netip"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// maxRequests bounds how many sorts of request of one sender are tried.
const maxRequests = 20000

// condition is what a route or a rule asks of a request; what is nil is asked nothing of.
type condition struct {
	host           func(string) bool
	path           func(string) bool
	methods        []string
	headers, query []textMatch
	jwt            *ir.JWTRule
	token          func(*try.Token) bool
	ranges         []netip.Prefix
	until          time.Time
	// matters is set for what the meshes may differ in.
	matters bool
	stage   stage
}

// stage is where on its way a request meets a condition. At each stage of one mesh a single route or rule decides.
type stage int

const (
	atDoor    stage = iota // a rule of a gateway
	atGateway              // a route of a gateway
	atRoute                // a route of the service that is called
	atRule                 // a rule of a service that a route leads to
	stages
)

// textMatch is what is asked of a header or a parameter, after values were added to those of the request.
type textMatch struct {
	ir.StringMatch
	added []string
}

// space are the requests of a sender to a place, of which two are of one sort when the same conditions hold for them:
// what a mesh does with a request depends on nothing else.
type space struct {
	base       try.Request
	conditions []condition
	hosts      []string
	// issuers are those of tokens, by their names in the meshes.
	issuers []string
	// paths are patterns that the conditions' paths are made of, and of what is rewritten.
	paths []string
	// ends is the largest number of services that one route leads to, each of which has rules of its own; at least 1.
	ends int
	// narrow leaves requests out for which no condition holds that matters.
	narrow bool
	// steps are those that are left for its requests.
	steps *budget
}

// choice is a value that a part of a request may have, and for which of the conditions it is good.
type choice struct {
	set   func(*try.Request)
	holds []bool
}

// legalPath are paths as proxies read them: no segment is empty, "." or "..", and what is escaped has to be.
const (
	pathLetter = `(?:[^/.%?#\\\x00- \x7f]|%(?:2[0-9A-Ea-e]|[346][0-9A-Fa-f]|5[ABDEFabdef]|7[0-9A-Ea-e]|[89A-Fa-f][0-9A-Fa-f]))`
	segment    = `(?:\.{0,2}` + pathLetter + `(?:` + pathLetter + `|\.)*|\.{3,}(?:` + pathLetter + `|\.)*)`
	legalPath  = `/|(?:/` + segment + `)+/?`
	legalValue = `(?:[^\x00- \x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00- \x7f])?)?`
	legalQuery = `[^&#\x00- \x7f]*`
	legalHost  = `[a-z0-9-]+(?:\.[a-z0-9-]+)*`
	legalID    = `spiffe://[a-z0-9._-]+(?:/[A-Za-z0-9._-]+)+`
)

// requests are one of each sort, the plainest; whole is false when there are too many to look at all.
func (s *space) requests() (list []try.Request, whole bool) {
	type partial struct {
		request try.Request
		holds   []bool
	}
	states := []partial{{s.base, make([]bool, len(s.conditions))}}
	for i := range states[0].holds {
		states[0].holds[i] = true
	}
	if !s.steps.spend(partSteps) {
		return nil, false
	}
	parts, whole := s.parts()
	spent := !s.steps.spend(partSteps * len(parts))
	for _, choices := range parts {
		var next []partial
		seen := map[string]bool{}
		if spent {
			states, choices, whole = states[:min(len(states), plainest)], choices[:1], false
		}
		for i := range states {
			for _, c := range choices {
				if spent = spent || !s.steps.spend(len(s.conditions)); spent && len(next) >= plainest {
					whole = false
					break
				}
				holds := make([]bool, len(s.conditions))
				matters := !s.narrow
				for k := range holds {
					holds[k] = states[i].holds[k] && c.holds[k]
					matters = matters || holds[k] && s.conditions[k].matters
				}
				if k := bits(holds); matters && !seen[k] {
					seen[k] = true
					if len(next) == maxRequests {
						whole = false
						continue
					}
					r := states[i].request
					c.set(&r)
					next = append(next, partial{r, holds})
				}
			}
		}
		states = next
	}
	for i := range states {
		list = append(list, states[i].request)
	}
	return list, whole
}

func bits(holds []bool) string {
	b := make([]byte, (len(holds)+7)/8)
	for i, h := range holds {
		b[i/8] |= byte(boolean(h)) << (i % 8)
	}
	return string(b)
}

// try takes the steps of trying a request of the space; false when they are not left.
func (s *space) try() bool { return s.steps.spend(trialSteps * (len(s.conditions) + 8)) }

// choose is a choice for which the conditions are good that is reports.
func (s *space) choose(is func(*condition) bool, set func(*try.Request)) choice {
	c := choice{set, make([]bool, len(s.conditions))}
	for i := range s.conditions {
		c.holds[i] = is(&s.conditions[i])
	}
	return c
}

// parts are those that some condition is about, each with its choices, the plainest first.
func (s *space) parts() (parts [][]choice, whole bool) {
	whole = true
	if s.hosts != nil {
		var hosts []choice
		for _, host := range s.hosts {
			hosts = append(hosts, s.choose(func(c *condition) bool { return c.host == nil || c.host(host) },
				func(r *try.Request) { r.Host = host }))
		}
		parts = append(parts, hosts)
	}
	paths, all := samples(legalPath, s.paths)
	whole = whole && all
	var choices []choice
	for _, path := range paths {
		choices = append(choices, s.choose(func(c *condition) bool { return c.path == nil || c.path(path) },
			func(r *try.Request) { r.Path = path }))
	}
	parts = append(parts, choices, s.methods())
	for _, list := range []struct {
		of   func(*condition) []textMatch
		form string
		set  func(r *try.Request, name string, values []string)
	}{
		{func(c *condition) []textMatch { return c.query }, legalQuery, setQuery},
		{func(c *condition) []textMatch { return c.headers }, legalValue, setHeader},
	} {
		named, all := s.texts(list.of, list.form, list.set)
		parts, whole = append(parts, named...), whole && all
	}
	tokens, all := s.tokens()
	parts, whole = append(parts, tokens...), whole && all
	if addresses := s.addresses(); addresses != nil {
		parts = append(parts, addresses)
	}
	return append(parts, s.times()), whole
}
