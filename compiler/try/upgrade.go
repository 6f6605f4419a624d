package try

import (
	"net/http"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// offers reads which protocols a request offers to be upgraded to at a listener that upgrades requests to those; it
// ignores all others (RFC 9110, section 7.8), and an offer of others alone.
func (q *message) offers(taken []string) {
	if slices.ContainsFunc(tokens(q.headers, "connection"), func(option string) bool { return option == "upgrade" }) {
		q.upgrade = strings.Join(slices.DeleteFunc(tokens(q.headers, "upgrade"), func(protocol string) bool {
			return !slices.Contains(taken, protocol)
		}), ",")
	}
	if q.upgrade == "" {
		q.headers = slices.DeleteFunc(slices.Clone(q.headers), func(h ir.Header) bool {
			return h.Name == "upgrade" || h.Name == "connection"
		})
	}
}

// tokens are the values of a header that is a list, in small letters.
func tokens(headers []ir.Header, name string) []string {
	list := strings.Split(strings.ToLower(strings.Join(header(headers, name), ",")), ",")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

// notUpgraded refuses a request whose offer is read and that goes nowhere where it is taken: true when it does.
func (r *run) notUpgraded(at string, q *message, pos source.Position, to []string) bool {
	if q.upgrade == "" || slices.Contains(to, q.upgrade) {
		return false
	}
	r.step(at, pos, "refuses the upgrade to %s, which others on its port take: without the offer the request goes on",
		q.upgrade)
	r.answer(at, http.StatusForbidden)
	return true
}

// upgrades are the protocols to which requests may be upgraded that go by routes of a gateway.
func (r *run) upgrades(by []*ir.Route) []string {
	if len(by) == 0 || by[0].Answers() {
		return nil
	}
	came := r.upstreamOf(by[0].To[0].Service).Port(by[0].To[0].Port)
	return by[len(by)-1].Upgrades(came, r.upstreamOf)
}

// unbounded is the policy of a request that is upgraded.
func unbounded(p ir.Policy) ir.Policy {
	p.Timeout = ir.Setting[ir.Duration]{Value: ir.NoLimit}
	p.PerTryTimeout = p.Timeout
	p.Attempts = ir.Setting[uint32]{}
	return p
}

// upstreamOf is a service of the mesh as callers see it.
func (r *run) upstreamOf(service string) *ir.Upstream { return &r.mesh.Service(service).Upstream }
