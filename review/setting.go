package review

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// settingsOf are what is in force for a service besides its rules, routes and calls: each from the service, from the mesh, or
// by default.
func settingsOf(m *ir.Mesh, s *ir.Service) []Setting {
	from := func(written bool, pos source.Position) string {
		if written && pos.IsValid() {
			return pos.String()
		}
		return "default"
	}
	mtls := "strict"
	if s.Plaintext {
		mtls = "permissive"
	}
	balance := cmp.Or(s.LoadBalancer.Policy, ir.LeastRequest)
	outliers := s.Outliers
	if outliers == nil {
		outliers = ir.DefaultOutliers()
	}
	out := []Setting{
		{"mtls", mtls, from(s.Plaintext, s.Pos)},
		{"loadBalancer", string(balance), from(s.LoadBalancer.Policy != "", s.Pos)},
		{
			"outliers", fmt.Sprintf("%d answers of 5xx in a row, looked for every %s, out for %s, %g%% at most", outliers.Consecutive5xx, outliers.Interval, outliers.EjectFor, outliers.MaxEjected),
			from(s.Outliers != nil, s.Pos),
		},
	}
	for i := range s.Ports {
		if p := &s.Ports[i]; p.Open {
			out = append(out, Setting{"port " + p.Name, "open: no TLS, no identity and no rule; mtls is off there", from(true, p.Pos)})
		}
	}
	if len(s.Proxy.Privileged) > 0 && s.Workload.InCluster() {
		out = append(out, Setting{"privileged", strings.Join(s.Proxy.Privileged, ", ") + " may go round the proxy or see into it", from(true, s.Pos)})
	}
	if h := s.Health; h != nil {
		out = append(out, Setting{"health", fmt.Sprintf("%s %s every %s, within %s", h.Kind, cmp.Or(h.Path, h.Service), h.Interval, h.Timeout), from(true, s.Pos)})
	}
	if r := s.RateLimit; r != nil {
		text := fmt.Sprintf("%d requests every %s", r.Requests, r.Per)
		if r.PerCaller {
			text += " of each caller"
		}
		if r.Global {
			text += ", counted for all instances"
		}
		out = append(out, Setting{"rateLimit", text, from(true, r.Pos)})
	}
	if l := s.Locality; l != nil {
		out = append(out, Setting{"locality", "near instances before others", from(true, l.Pos)})
	}
	for i := range s.Probes {
		p := &s.Probes[i]
		out = append(out, Setting{"probe", fmt.Sprintf("%s %s on %d is let in without mutual TLS", p.Kind, p.Path, p.Port), from(true, p.Pos)})
	}
	c := &m.Certificates
	by := strings.TrimSpace(string(c.Issuer.Kind) + " " + c.Issuer.Name)
	return append(out, Setting{"certificate", fmt.Sprintf("%s, by %s, for %s, renewed %s before its end", c.Key, by, c.Lifetime, c.RenewBefore) + renewals(c), from(true, c.Pos)})
}

// renewals is for how long certificates are renewed without a new proof.
func renewals(c *ir.Certificates) string {
	if c.RenewFor == 0 {
		return ""
	}
	return fmt.Sprintf(", for %s after a token", c.RenewFor)
}
