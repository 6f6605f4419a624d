package link

import (
	"fmt"
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

const second = ir.Duration(time.Second)

// loadBalancer is how the instances of a service are chosen.
func (l *linker) loadBalancer(here place, b *spec.LoadBalancer, ports []ir.Port) ir.LoadBalancer {
	if b == nil {
		return ir.LoadBalancer{}
	}
	out := ir.LoadBalancer{Policy: ir.BalancePolicy(b.Policy.Value)}
	if out.Policy == ir.LeastRequest {
		out.Policy = ""
	}
	if b.SlowStart.IsSet() {
		out.SlowStart = l.duration(here.field("slowStart"), b.SlowStart)
		if out.Policy != "" && out.Policy != ir.RoundRobin {
			l.add(diag.NoEffect, here.field("slowStart"), fmt.Sprintf("slowStart cannot take effect with the policy %s",
				out.Policy), here.pos(b.SlowStart.Pos), here.pos(b.Policy.Pos)).
				hint("remove it: it is for least-request and round-robin")
		}
	}
	if b.PanicThreshold.IsSet() {
		out.PanicThreshold = &b.PanicThreshold.Value
	}
	switch h := b.Hash; {
	case h != nil && !out.Policy.Hashes():
		l.add(diag.NoEffect, here.field("hash"), "hash cannot take effect: only ring-hash and maglev hash",
			here.pos(h.Pos), here.pos(b.Policy.Pos)).
			hint(`policy: "maglev"`)
	case h != nil:
		out.Hash = l.hash(here.field("hash"), h, ports)
	case out.Policy.Hashes():
		l.add(diag.MissingField, here.field("hash"), fmt.Sprintf("%s does not say what is hashed", out.Policy),
			here.pos(b.Policy.Pos)).
			hint(`hash: header: "x-user", or hash: sourceIP: true`)
	}
	return out
}

func (l *linker) hash(here place, h *spec.Hash, ports []ir.Port) *ir.Hash {
	out := &ir.Hash{Header: h.Header.Value, Cookie: h.Cookie.Value, Query: h.Query.Value, SourceIP: h.SourceIP.Value}
	var written choice
	written.add("header", h.Header.IsSet())
	written.add("cookie", h.Cookie.IsSet())
	written.add("query", h.Query.IsSet())
	written.add("sourceIP", h.SourceIP.IsSet())
	if len(written) != 1 {
		l.add(diag.ExactlyOneOf, here,
			fmt.Sprintf("hash has %d of header, cookie, query and sourceIP, and must have exactly one", len(written)),
			here.pos(h.Pos)).
			hint("%s", written.instead(`hash: header: "x-user"`))
	}
	l.sendable(here.field("header"), h.Header.Value, here.pos(h.Header.Pos))
	if h.TTL.IsSet() {
		out.TTL = l.wholeSeconds(here.field("ttl"), h.TTL)
		if !h.Cookie.IsSet() {
			l.add(diag.NoEffect, here.field("ttl"), "ttl cannot take effect: it is how long a cookie lives",
				here.pos(h.TTL.Pos)).hint("remove it")
		}
	}
	if !h.SourceIP.IsSet() {
		l.requestsOnly(here, ports, "a hash of a request", h.Pos)
	}
	return out
}

// locality is which instances of a service are near.
func (l *linker) locality(here place, s *spec.Locality, w *ir.Workload) *ir.Locality {
	if s == nil {
		return nil
	}
	switch {
	case w.InCluster() && l.mesh.Delivery == ir.DeliveryStatic:
		l.add(diag.NoEffect, here,
			`locality cannot take effect: with delivery "static" the zones of pods are not known`, here.pos(s.Pos)).
			hint(`remove it, or write mesh: delivery: "xds"`)
		return nil
	case w.DNS != "":
		l.add(diag.NoEffect, here,
			"locality cannot take effect: the zones of instances behind a dns name are not known", here.pos(s.Pos),
			w.Pos).
			hint("list the instances as endpoints with zones")
		return nil
	}
	out := &ir.Locality{Zone: s.Prefer.Value == "zone", Pos: here.pos(s.Pos)}
	known := w.File == "" && !w.InCluster()
	if known && !slices.ContainsFunc(w.Endpoints, func(e ir.Endpoint) bool { return e.InRegion() != "" }) {
		l.add(diag.NoEffect, here, "locality cannot take effect: no endpoint says its zone", out.Pos, w.Pos).
			hint(`write the zone of each endpoint, or remove locality: workload: endpoints: [{address: "10.0.0.1", zone: "eu-west-1a"}]`)
	}
	for i, f := range s.Failover {
		at := here.field("failover").index(i)
		failover := ir.Failover{From: f.From.Value, To: f.To.Value, Pos: here.pos(f.Pos)}
		switch {
		case failover.From == failover.To:
			l.add(diag.FailoverCircle, at, fmt.Sprintf("the traffic of %s fails over to %s itself", failover.From,
				failover.To), failover.Pos).hint("name another region")
		case slices.ContainsFunc(out.Failover, func(o ir.Failover) bool {
			return o.From == failover.From && o.To == failover.To
		}):
			l.add(diag.NoEffect, at, fmt.Sprintf("the failover from %s to %s is written twice", failover.From,
				failover.To), failover.Pos).hint("remove one of them")
		case known && !slices.ContainsFunc(w.Endpoints, func(e ir.Endpoint) bool {
			return e.InRegion() == failover.To
		}):
			l.add(diag.FailoverToNothing, at.field("to"),
				fmt.Sprintf("the traffic of %s fails over to %s, which has no instances", failover.From, failover.To),
				failover.Pos, w.Pos).
				hint("%s", l.didYouMean(failover.To, regions(w)))
		}
		out.Failover = append(out.Failover, failover)
	}
	return out
}

func regions(w *ir.Workload) []string {
	var out []string
	for i := range w.Endpoints {
		if r := w.Endpoints[i].InRegion(); r != "" {
			out = append(out, r)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
