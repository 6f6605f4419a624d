package diff

import (
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// scraper is who reads metrics.
var scraper = other("the scraper")

// scrapes compares which metrics of applications the scraper may read: that of the old mesh, and that of the new one.
func (d *differ) scrapes() {
	ir.Pairs(d.old.Services, d.new.Services, func(s *ir.Service) string { return s.Name },
		func(name string, _, _ *ir.Service) {
			done := map[string]bool{}
			for _, m := range []*ir.Mesh{d.old, d.new} {
				s := m.Service(name)
				for i := 0; s != nil && i < len(s.Scrape); i++ {
					r := scrapeRequest(m, s, &s.Scrape[i])
					if command := r.Command(); !done[command] {
						done[command] = true
						d.scraped(name, r)
					}
				}
			}
		})
}

// scraped compares one request of the scraper.
func (d *differ) scraped(name string, r *try.Request) {
	a, b := tried(d.old, r), tried(d.new, r)
	if kind := kindOf(a, b); kind != "" {
		e := d.effect(kind, []Subject{scraper}, service(name), a, b)
		e.What = "metrics of the application"
		d.add(e, r, a, b)
	}
}

// scrapeRequest is that by which the scraper of a mesh reads metrics of an application.
func scrapeRequest(m *ir.Mesh, s *ir.Service, scrape *ir.Scrape) *try.Request {
	r := &try.Request{
		From: try.Sender{Kind: try.Outside}, Method: "GET", Scheme: "http", Host: s.Name, Port: s.Proxy.MetricsPort,
		Path: scrape.At(),
	}
	reader := m.ReadFrom()
	if reader == nil {
		return r
	}
	if !reader.Identity.IsZero() {
		r.From = try.Sender{Kind: ir.KindIdentity, Name: reader.Identity.String()}
	}
	if len(reader.IPRanges) > 0 {
		r.IP = reader.IPRanges[0].Addr()
	}
	return r
}
