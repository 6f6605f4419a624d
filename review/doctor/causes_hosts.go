package doctor

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/ir"
)

// failingHost is an instance at which requests fail, as callers' proxies count.
type failingHost struct {
	callee      *ir.Service
	version     string // of the instance; empty where the service has none
	name        string
	zone        string
	address     string
	since, grow Counts
}

// hostsOf are the instances of services as all callers' proxies count them together.
func (p *patient) hostsOf() map[string][]failingHost {
	if p.Mesh == nil {
		return nil
	}
	names := map[string]*ir.Service{}
	for _, s := range p.Mesh.Services {
		names[s.QualifiedName()] = s
	}
	sums := map[string]map[string]*failingHost{}
	for i := range p.Proxies {
		for _, c := range p.Proxies[i].Clusters {
			callee, _ := clusterParts(c.Name)
			s := names[callee]
			if s == nil {
				continue
			}
			if sums[s.Name] == nil {
				sums[s.Name] = map[string]*failingHost{}
			}
			for _, h := range c.Hosts {
				had := sums[s.Name][h.Address]
				if had == nil {
					had = &failingHost{callee: s, address: h.Address, zone: h.Zone}
					p.identify(s, had)
					sums[s.Name][h.Address] = had
				}
				had.since.add(&h.Since)
				had.grow.add(&h.Grown)
			}
		}
	}
	out := map[string][]failingHost{}
	for name, hosts := range sums {
		for _, h := range hosts {
			out[name] = append(out[name], *h)
		}
		slices.SortFunc(out[name], func(a, b failingHost) int { return cmp.Compare(a.address, b.address) })
	}
	return out
}

// identify says which instance is at the address of a host, and of which version it is.
func (p *patient) identify(s *ir.Service, h *failingHost) {
	for i := range s.Workload.Endpoints {
		e := &s.Workload.Endpoints[i]
		if e.Address != h.address {
			continue
		}
		h.name, h.zone = e.Name, cmp.Or(e.Zone, h.zone)
		for k := range s.Versions {
			if e.Carries(&s.Versions[k]) {
				h.version = s.Versions[k].Name
			}
		}
	}
}

func (c *Counts) failures() uint64 { return c.Errors + c.Unconnected + c.Timeouts }

func (c *Counts) add(d *Counts) {
	c.Requests += d.Requests
	c.Errors += d.Errors
	c.Timeouts += d.Timeouts
	c.Unconnected += d.Unconnected
}

// failed are the failures of a host lately.
func (h *failingHost) failed() (n, of uint64) {
	return h.grow.failures(), h.grow.Requests + h.grow.Unconnected
}

// failingInstances finds instance-failing: a host at which most requests fail, while few fail at the others of the same
// service.
func failingInstances(p *patient) (out []candidate) {
	for name, list := range p.hostsOf() {
		bad := minority(list)
		if len(bad) != 1 {
			continue
		}
		h, ref := bad[0], ir.ServiceRef(name)
		n, of := h.failed()
		s := p.service(ref)
		pos := s.Pos
		if e := s.Endpoint(h.name); e != nil && e.Pos.IsValid() {
			pos = e.Pos
		}
		c := candidate{sure: byState, next: "meshc config " + name, Verdict: Verdict{
			Cause: InstanceFailing, Subject: ref.String(), Position: lineOf(pos), Party: ByApplication,
			Text: fmt.Sprintf("the instance %s of %s fails, one of %d", cmp.Or(h.name, h.address), name, len(list)),
		}, explains: p.byCallee(answered, broken, gone, unconnected, timedOut)[ref]}
		c.evidence = append(c.evidence, Evidence{
			fmt.Sprintf("%d of %d requests to %s failed within %s, and few at the others", n, of, h.address, between),
			"meshc config " + name,
		})
		if len(c.explains) > 0 && !p.suffers(ref) {
			out = append(out, c)
		}
	}
	return out
}

// failingZones finds zone-failing: requests fail in one zone, and at instances of several services there: lately, or
// since their callers' proxies know them.
func failingZones(p *patient) (out []candidate) {
	lately, suspected := shares{}, map[string][]symptom{}
	services := map[string]int{}
	for name, list := range p.hostsOf() {
		explains := p.byCallee(answered, broken, gone, unconnected, timedOut)[ir.ServiceRef(name)]
		if len(explains) == 0 {
			continue
		}
		here, ever := shares{}, shares{}
		for i := range list {
			h := &list[i]
			n, requests := h.failed()
			lately.count(h.zone, n, requests)
			here.count(h.zone, n, requests)
			ever.count(h.zone, h.since.failures(), h.since.Requests)
		}
		for zone := range here {
			if here.worst(1) == zone || ever.worst(fewest) == zone {
				services[zone]++
				suspected[zone] = append(suspected[zone], explains...)
			}
		}
	}
	zone := lately.worst(fewest / 2)
	if services[zone] < 2 {
		return nil
	}
	return []candidate{{explains: suspected[zone], sure: byState, next: "meshc top --by callee", Verdict: Verdict{
		Cause: ZoneFailing, Subject: "mesh", Party: ByOutside,
		Text: fmt.Sprintf("requests to the instances in the zone %s fail, and not those to others", zone),
	}}}
}

// minority are the failing ones of the hosts of a service, where they are not most of them, and the others do not
// fail.
func minority(list []failingHost) (bad []failingHost) {
	for _, h := range list {
		n, of := h.failed()
		switch {
		case n >= fewest/2 && n*3 > of:
			bad = append(bad, h)
		case n*10 > of:
			return nil // it fails a little, too
		}
	}
	if len(list) < 3 || len(bad)*2 >= len(list) {
		return nil
	}
	return bad
}

// worseVersions finds version-worse: of two versions of a service that have requests, the share that fails at one is a
// multiple of that at the other. Routes that lead to versions tell it by their lines, and callers' proxies by
// hosts.
func worseVersions(p *patient) (out []candidate) {
	hosts := p.hostsOf()
	all := p.byCallee(answered, broken, gone, timedOut, slow)
	for _, callee := range callees(all) {
		s := p.service(callee)
		if s == nil || len(s.Versions) < 2 || p.suffers(callee) {
			continue
		}
		of := shares{}
		for _, one := range all[callee] {
			if end := one.edge.latest.Client; end != nil {
				for _, l := range end.Lines {
					of.count(l.Version, l.Errors, l.Requests)
				}
			}
		}
		if len(of) < 2 {
			clear(of)
			for _, h := range hosts[s.Name] {
				n, requests := h.failed()
				of.count(h.version, n, requests)
			}
		}
		if bad := of.worst(fewest); bad != "" {
			out = append(out, candidate{explains: all[callee], sure: byState, Verdict: Verdict{
				Cause: VersionWorse, Subject: callee.String(), Position: lineOf(s.Version(bad).Pos),
				Party: ByApplication,
				Text:  fmt.Sprintf("the version %s of %s fails, and the others do not", bad, s.Name),
			}, evidence: []Evidence{{
				fmt.Sprintf("%d of %d requests to %s failed", of[bad][0], of[bad][1], bad), "meshc top --by line",
			}}, next: "meshc top --by line"})
		}
	}
	return out
}

// shares are how many requests failed, and how many there were, by version or zone.
type shares map[string]*[2]uint64

// count adds requests to those of a version or a zone; "" for none.
func (of shares) count(name string, failed, requests uint64) {
	if name == "" {
		return
	}
	if of[name] == nil {
		of[name] = &[2]uint64{}
	}
	of[name][0] += failed
	of[name][1] += requests
}

// worst is the one at which much more fails than at all others, and at least so many; "" for none.
func (of shares) worst(least uint64) string {
	best, second, name := 0.0, 0.0, ""
	for version, n := range of {
		if n[1] == 0 {
			continue
		}
		share := float64(n[0]) / float64(n[1])
		if share > best {
			best, second, name = share, best, version
		} else {
			second = max(second, share)
		}
	}
	if len(of) < 2 || best < 0.05 || best < 5*second || of[name][0] < least {
		return ""
	}
	return name
}
