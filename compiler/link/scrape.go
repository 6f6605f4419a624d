package link

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

// scraperExample is a scraper that is told from others in Kubernetes and elsewhere.
const scraperExample = `scraper: {namespace: "monitoring", ipRanges: ["10.0.0.0/8"]}`

// scrape is where a service has metrics of its own, once its ports and its proxy are known.
func (l *linker) scrape(here place, list []*spec.Scrape, s *ir.Service) (out []ir.Scrape) {
	for i, one := range list {
		at := here.field("scrape").index(i)
		scrape := ir.Scrape{
			Port: uint16(one.Port.Value), Path: one.Path.Or(ir.DefaultScrapePath), Pos: here.pos(one.Pos),
		}
		if one.Path.IsSet() {
			l.normalPath(at.field("path"), scrape.Path, here.pos(one.Path.Pos))
		}
		if slices.ContainsFunc(out, func(o ir.Scrape) bool { return o.At() == scrape.At() }) {
			l.add(diag.NoEffect, at, fmt.Sprintf("%s of port %d is written twice", scrape.Path, scrape.Port),
				scrape.Pos).
				hint("remove one of them")
			continue
		}
		l.scraped(at, s, &scrape)
		out = append(out, scrape)
	}
	if len(out) > 0 && l.mesh.Metrics == nil {
		l.add(diag.NoEffect, here.field("scrape"),
			"scrape cannot take effect: mesh.telemetry.metrics is not written, so that nobody reads metrics",
			out[0].Pos).
			hint("remove it, or write mesh: telemetry: metrics: %s", scraperExample)
	}
	return out
}

// scraped holds where metrics are against the ports that the application and its proxy have.
func (l *linker) scraped(here place, s *ir.Service, scrape *ir.Scrape) {
	port := s.PortTo(scrape.Port)
	if l.isApplicationPort(here.field("port"), s, port, scrape.Port, scrape.Pos) &&
		port != nil && port.Protocol == ir.TLS {
		l.add(diag.NoEffect, here.field("port"),
			fmt.Sprintf("the application takes TLS alone on port %s, and the proxy asks for metrics without",
				port.Name),
			scrape.Pos, port.Pos).
			hint("have the application answer without TLS on another port, which may be on loopback alone")
	}
}

// normalPath refuses a path of one resource that no request would have once a proxy has normalised it.
func (l *linker) normalPath(here place, value string, pos source.Position) {
	l.plainPath(here, value, pos)
	if clean := path.Clean(value); clean != strings.TrimSuffix(value, "/") && value != "/" {
		l.add(diag.BadFormat, here,
			fmt.Sprintf("path %q would never match: proxies normalise paths before they look at them", value), pos).
			hint("path: %q", clean)
	}
}
