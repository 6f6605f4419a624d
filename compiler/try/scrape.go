package try

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/meshc/meshc/compiler/ir"
)

// metrics follows a request to the port of a service's proxy where metrics are read, its own and the application's.
func (r *run) metrics(at string, s *ir.Service) error {
	if !r.isScraper(at, s) {
		r.answer(at, 0)
		return nil
	}
	q, good := r.read(at, ir.Forms{})
	if !good {
		return nil
	}
	if q.method != "GET" || q.query != "" {
		r.step(at, r.mesh.Metrics.Pos, "answers GET alone there, without a query")
		r.answer(at, 404)
		return nil
	}
	if q.path == ir.DefaultScrapePath {
		r.step(at, r.mesh.Metrics.Pos, "answers with its own metrics")
		r.answer(at, 200)
		return nil
	}
	for i := range s.Scrape {
		scrape := &s.Scrape[i]
		if scrape.At() != q.path {
			continue
		}
		name := strconv.Itoa(int(scrape.Port))
		if port := s.PortTo(scrape.Port); port != nil {
			name = port.Name
		}
		r.step(at, scrape.Pos, "lets the scraper read the metrics of the application")
		r.Reaches = []Reach{{Service: s.Name, Port: name, Percent: 100, Host: q.authority, Path: scrape.Path}}
		return nil
	}
	r.step(at, s.Pos, "has no metrics at %s", q.path)
	r.answer(at, 404)
	return nil
}

// isScraper reports whether the proxy takes the sender for the scraper of the mesh, as far as a proxy checks that: who
// its pods are is for NetworkPolicies.
func (r *run) isScraper(at string, s *ir.Service) bool {
	scraper := r.mesh.ReadFrom()
	if scraper == nil {
		r.step(at, r.mesh.Metrics.Pos, "has its metrics on loopback alone, port %d", s.Proxy.MetricsPort)
		r.Write = `mesh: telemetry: metrics: scraper: {namespace: "monitoring", ipRanges: ["10.0.0.0/8"]}`
		return false
	}
	byTLS := r.me.Kind != Outside || r.request.Scheme == "https"
	switch {
	case scraper.Identity.IsZero() && byTLS:
		r.step(at, scraper.Pos, "takes no TLS where metrics are read: the scraper has no identity")
		return false
	case !scraper.Identity.IsZero() && r.me.Identity != scraper.Identity:
		r.step(at, scraper.Pos, "takes connections of the scraper alone, over mutual TLS: %s", scraper.Identity)
		return false
	}
	if r.request.IP.IsValid() && len(scraper.IPRanges) > 0 &&
		!slices.ContainsFunc(scraper.IPRanges, func(p netip.Prefix) bool { return p.Contains(r.request.IP.Unmap()) }) {
		r.step(at, scraper.Pos, "takes connections of the scraper alone, which is not at %s", r.request.IP)
		return false
	}
	if !r.request.IP.IsValid() && len(scraper.IPRanges) > 0 &&
		!r.passes(OnAddress, "it does", "it does not", "whether it comes from an address of the scraper (--ip)") {
		return false
	}
	r.step(at, scraper.Pos, "is asked by the scraper")
	return true
}
