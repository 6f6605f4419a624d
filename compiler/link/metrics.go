package link

import (
	"fmt"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// metrics is who reads the metrics of proxies.
func (l *linker) metrics(here place, t *spec.Telemetry) {
	if t == nil || t.Metrics == nil {
		return
	}
	here = here.field("telemetry.metrics")
	l.mesh.Metrics = &ir.Metrics{Pos: here.pos(t.Metrics.Pos), Scraper: l.scraper(here.field("scraper"), t.Metrics.Scraper)}
}

// metricsPort is where proxies that say nothing themselves have their metrics; 0 for nowhere.
func metricsPort(usual uint16, t *spec.Telemetry) uint16 {
	if usual == 0 {
		return 0
	}
	return uint16(t.Metrics.Port.Or(int(usual)))
}

func (l *linker) scraper(here place, s *spec.Scraper) *ir.Scraper {
	if s == nil {
		return nil
	}
	out := &ir.Scraper{
		Namespace: s.Namespace.Value, IPRanges: l.prefixes(here.field("ipRanges"), s.IPRanges), Pos: here.pos(s.Pos),
	}
	if s.IPRanges != nil && len(s.IPRanges) == 0 {
		l.add(diag.EmptyList, here.field("ipRanges"), "ipRanges is empty, so nobody could read metrics", out.Pos).
			hint("omit it for any address")
	}
	for _, label := range sortedKeys(s.Pods) {
		if out.Pods == nil {
			out.Pods = map[string]string{}
		}
		out.Pods[label] = s.Pods[label].Value
	}
	l.podLabels(here.field("pods"), s)
	if s.Identity.IsSet() && l.identityPattern(here.field("identity"), s.Identity) {
		out.Identity = spiffeid.RequireFromString(s.Identity.Value)
	}
	if !s.Namespace.IsSet() && !s.Identity.IsSet() && s.IPRanges == nil {
		l.add(diag.EmptyList, here, "scraper names nobody, so everybody could read the metrics of all proxies", out.Pos).
			hint(`scraper: namespace: "monitoring"`)
	}
	return out
}

// podLabels holds labels that nothing could read against the namespace that they are in.
func (l *linker) podLabels(here place, s *spec.Scraper) {
	if s.Pods == nil || s.Namespace.IsSet() {
		return
	}
	l.add(diag.NoEffect, here, "pods cannot take effect: their namespace is not written", here.pos(s.Pos)).
		hint(`write it, scraper: namespace: "monitoring", or remove pods`)
}

// metricsAreClosed refuses a scraper whom nothing tells from others at a member's proxy: NetworkPolicies hold for pods
// alone.
func (l *linker) metricsAreClosed() {
	s := l.mesh.ReadFrom()
	if s == nil || len(s.IPRanges) > 0 || !s.Identity.IsZero() || s.Namespace == "" {
		return
	}
	var outside []string
	for _, m := range l.mesh.Services {
		if !m.Workload.InCluster() {
			outside = append(outside, m.Name)
		}
	}
	if len(outside) == 0 {
		return
	}
	l.add(diag.OpenMetrics, place{l.root, "mesh.telemetry.metrics.scraper"},
		fmt.Sprintf("the instances of %s are not pods, so no NetworkPolicy keeps others from their metrics",
			strings.Join(outside, ", ")), s.Pos).
		hint(`add what proxies check themselves: scraper: ipRanges: ["192.0.2.7"]`)
}

// metricsPortsAreFree refuses ports of metrics of members whose instances share a host: the second proxy could not
// listen there.
func (l *linker) metricsPortsAreFree() {
	if l.mesh.Metrics == nil {
		return
	}
	taken := map[string]*ir.Service{} // by ADDRESS:PORT
	for _, s := range l.mesh.Services {
		for i := range s.Workload.Endpoints {
			e := &s.Workload.Endpoints[i]
			for _, number := range e.Ports {
				taken[fmt.Sprintf("%s %d", e.Address, number)] = s
			}
		}
	}
	for _, s := range l.mesh.Services {
		h := l.services[s.Name]
		for i := range s.Workload.Endpoints {
			e := &s.Workload.Endpoints[i]
			at := fmt.Sprintf("%s %d", e.Address, s.Proxy.MetricsPort)
			if other := taken[at]; other != nil && other != s {
				l.add(diag.PortTaken, h.field("proxy"),
					fmt.Sprintf("%s and %s are both at %s, and %s listens on port %d there, where the metrics of %s are read",
						other.Name, s.Name, e.Address, other.Name, s.Proxy.MetricsPort, s.Name), e.Pos, other.Pos).
					hint("services: %q: proxy: metricsPort: %d", s.Name, s.Proxy.MetricsPort+1)
				break
			}
			taken[at] = s
		}
	}
}
