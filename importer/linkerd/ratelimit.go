package linkerd

import (
	"slices"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

type rateLimitPolicy struct {
	TargetRef reference `json:"targetRef"`
	Total     *rate     `json:"total"`
	Identity  *rate     `json:"identity"`
	Overrides []struct {
		rate
		ClientRefs []reference `json:"clientRefs"`
	} `json:"overrides"`
}

type rate struct {
	RequestsPerSecond int `json:"requestsPerSecond"`
}

// rateLimits reads the bounds on the requests of Servers. They hold for all ports of a service here; what bounds them
// further is an error.
func (m *reader) rateLimits(servers []*server) {
	byName := map[string]*server{}
	for _, s := range servers {
		byName[s.object.Metadata.Namespace+"/"+s.object.Metadata.Name] = s
	}
	for _, o := range importer.Of(m.objects, policy, "HTTPLocalRateLimitPolicy") {
		var d rateLimitPolicy
		if !m.Decode(o, "spec", &d) {
			continue
		}
		s := byName[o.Metadata.Namespace+"/"+d.TargetRef.Name]
		if d.TargetRef.Kind != "Server" || s == nil || len(s.ports) == 0 {
			m.LetsMore(o, "no Server "+o.Metadata.Namespace+"/"+d.TargetRef.Name+" was read that it could be for", "spec",
				"targetRef")
			continue
		}
		limit := &spec.RateLimit{}
		switch {
		case d.Total != nil && d.Total.RequestsPerSecond > 0:
			limit.Requests = spec.Written(d.Total.RequestsPerSecond)
			if d.Identity != nil {
				m.LetsMore(o, "a service has one bound, for all or for each caller", "spec", "identity")
			}
		case d.Identity != nil && d.Identity.RequestsPerSecond > 0:
			limit.Requests, limit.By = spec.Written(d.Identity.RequestsPerSecond), spec.Written("caller")
		default:
			m.LetsMore(o, "it has a number for neither all nor each caller", "spec", "overrides")
			continue
		}
		if len(d.Overrides) > 0 {
			m.LetsMore(o, "each caller has the same bound", "spec", "overrides")
		}
		for _, p := range s.ports {
			if p.service.PortsOfHTTP() > 1 {
				m.Note(o, "it holds for all ports of "+p.service.Name+" together", "spec", "targetRef")
			}
			if limit.By.IsSet() && !countable(p.service) {
				m.LetsMore(o, "callers without an identity, or with one that is not among the members, cannot be counted one by "+
					"one, and "+p.service.Name+" lets some in", "spec", "identity")
				continue
			}
			if before := p.service.Spec.RateLimit; before != nil && *before != *limit {
				m.LetsMore(o, p.service.Name+" has one bound, that of another policy", "spec", "targetRef")
				continue
			}
			p.service.Spec.RateLimit = limit
		}
	}
}

// countable reports whether all callers of a service are known one by one.
func countable(s *importer.Service) bool {
	return !slices.ContainsFunc(s.Spec.Allow, func(r *spec.Rule) bool {
		return r.From.Anyone.Value || r.From.Plaintext.Value || len(r.From.Identities) > 0
	})
}
