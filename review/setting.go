package review

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/review/values"
)

// settingsOf are what is in force for a service besides its rules, routes and calls: each from the service, from the
// mesh, or by default.
func settingsOf(m *ir.Mesh, s *ir.Service) []Setting {
	outliers := s.Outliers
	if outliers == nil {
		outliers = ir.DefaultOutliers()
	}
	out := []Setting{
		{"mtls", mtlsText(s), decidedAt(s.Plaintext, s.Pos)},
		{"outliers", outliersText(outliers), decidedAt(s.Outliers != nil, s.Pos)},
	}
	out = append(out, lastHopOf(m, s)...)
	if s.LoadBalancer.Policy == "" {
		out = append(out, Setting{"loadBalancer.policy", string(ir.LeastRequest), "default"})
	}
	out = append(out, writtenOf(s, "name", "namespace", "identity", "account", "explicit", "ports", "udp", "routes",
		"outliers", "lastHop", "traffic", "objectives",
		"allow", "deny", "externalAuthorization", "rateLimit", "probes", "scrape", "plaintext", "uses", "proxy",
		"forms")...)
	for i := range s.Ports {
		if p := &s.Ports[i]; p.Open {
			out = append(out, Setting{
				"port " + p.Name, "open: no TLS, no identity and no rule; mtls is off there",
				decidedAt(true, p.Pos),
			})
		}
	}
	out = append(out, objectivesText(s.Objectives)...)
	out = append(out, proxyOf(m, &s.Proxy, s.Pos)...)
	out = append(out, undeclaredOf(s)...)
	out = append(out, metricsOf(m, &s.Proxy)...)
	if len(s.Proxy.Privileged) > 0 && s.Workload.InCluster() {
		out = append(out, Setting{"privileged", strings.Join(s.Proxy.Privileged, ", ") +
			" may go round the proxy or see into it", decidedAt(true, s.Pos)})
	}
	if r := s.RateLimit; r != nil {
		text := fmt.Sprintf("%d requests every %s", r.Requests, r.Per)
		if r.Burst > 0 {
			text += fmt.Sprintf(" and %d more at once", r.Burst)
		}
		if r.PerCaller {
			text += " of each caller"
		}
		if r.Global {
			text += ", counted for all instances"
		}
		out = append(out, Setting{"rateLimit", text, decidedAt(true, r.Pos)})
	}
	for i := range s.Probes {
		p := &s.Probes[i]
		out = append(out, Setting{"probe", fmt.Sprintf("%s %s on %d is let in without mutual TLS", p.Kind, p.Path,
			p.Port), decidedAt(true, p.Pos)})
	}
	for i := range s.Scrape {
		p := &s.Scrape[i]
		out = append(out, Setting{"scrape", fmt.Sprintf("%s of port %d of the application, as GET %s where the proxy's "+
			"metrics are", p.Path, p.Port, p.At()), decidedAt(true, p.Pos)})
	}
	c := &m.Certificates
	by := strings.TrimSpace(string(c.Issuer.Kind) + " " + c.Issuer.Name)
	return append(out, Setting{"certificate", fmt.Sprintf("%s, by %s, for %s, renewed %s before its end", c.Key, by,
		c.Lifetime, c.RenewBefore) + renewals(c), decidedAt(true, c.Pos)})
}

// decidedAt is a place in the spec where somebody wrote a setting, or "default".
func decidedAt(written bool, pos source.Position) string {
	if written && pos.IsValid() {
		return pos.String()
	}
	return "default"
}

// lastHopOf is how a service's proxies keep the connections to its application.
func lastHopOf(m *ir.Mesh, s *ir.Service) (out []Setting) {
	if slices.ContainsFunc(s.Ports, func(p ir.Port) bool { return p.Protocol.IsHTTP() }) {
		idle := s.Traffic.Connections.IdleTimeout
		kept := Setting{"connections to the application", fmt.Sprintf("ended after %s without requests",
			s.LastHop.IdleTimeout), "default"}
		if idle != nil {
			kept.From = decidedAt(true, idle.Pos)
		}
		out = append(out, kept)
	}
	if hop := &s.LastHop; slices.ContainsFunc(s.Ports, func(p ir.Port) bool { return hop.Bounded(&p) }) {
		written := cmp.Or(s.Traffic.Connections.Max, m.Defaults.Connections.Max)
		out = append(out, Setting{"connections to the application at once", fmt.Sprintf(
			"%d to each port from each proxy", hop.Max), decidedAt(true, written.Pos)})
	}
	return out
}

// mtlsText is what a service asks of its callers.
func mtlsText(s *ir.Service) string {
	switch {
	case s.Plaintext:
		return "permissive"
	case len(s.Ports) == 0 && len(s.UDP) > 0:
		return "none: datagrams go by no proxy"
	}
	return "strict"
}

// writtenOf are the fields of a member or of a route that somebody wrote, but for those that are skipped because they
// are told in another way.
func writtenOf(v any, skipped ...string) []Setting {
	var out []Setting
	for _, f := range values.Written(v, skipped...) {
		if instances, in := strings.CutPrefix(f.Path, "workload."); in &&
			(!strings.Contains(instances, ".") || strings.HasPrefix(instances, "pods.") ||
				strings.HasSuffix(instances, ".address")) {
			continue // it stands in Instances
		}
		from := "default"
		if f.Pos.IsValid() {
			from = f.Pos.String()
		}
		out = append(out, Setting{f.Path, f.Text, from})
	}
	return out
}

// proxyOf is how a member's proxies run, where that is not as by default.
func proxyOf(m *ir.Mesh, p *ir.Proxy, pos source.Position) []Setting {
	usual := m.DefaultProxy()
	if p.SecretDirectory == ir.DefaultSecretDirectory {
		usual.SecretDirectory = p.SecretDirectory
	}
	var out []Setting
	for _, f := range values.Differing(&usual, p, "privileged", "passUndeclared") {
		out = append(out, Setting{"proxy." + f.Path, f.New, pos.String()})
	}
	return out
}

// undeclaredOf is what happens to calls that a service does not declare, where they are not refused.
func undeclaredOf(s *ir.Service) []Setting {
	if !s.PassesUndeclared() {
		return nil
	}
	return []Setting{{
		"proxy.undeclaredCalls",
		"pass: calls that are not among its uses go to the address that they asked for, without an identity",
		s.Pos.String(),
	}}
}

// renewals is for how long certificates are renewed without a new proof.
func renewals(c *ir.Certificates) string {
	if c.RenewFor == 0 {
		return ""
	}
	return fmt.Sprintf(", for %s after a token", c.RenewFor)
}
