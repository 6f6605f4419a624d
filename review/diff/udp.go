package diff

import (
	"net/netip"
	"slices"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// datagrams compares which datagrams pass: those of services to callees and externals, and those of anyone by the
// addresses that they come from.
func (d *differ) datagrams() {
	name := func(s *ir.Service) string { return s.Name }
	ir.Pairs(d.old.Services, d.new.Services, name, func(name string, a, b *ir.Service) {
		ways := map[Subject][]try.Request{}
		for i, s := range []*ir.Service{a, b} {
			m := []*ir.Mesh{d.old, d.new}[i]
			for k := 0; s != nil && k < len(s.Uses); k++ {
				use := &s.Uses[k]
				for _, port := range use.UDP {
					to, request := wayTo(m, use, port)
					request.From = try.Sender{Kind: ir.KindService, Name: name}
					ways[to] = append(ways[to], request)
				}
			}
		}
		for to, requests := range ways {
			for i := range requests {
				d.datagram(&requests[i], service(name), to)
			}
		}
	})
	d.what = Directly
	ir.Pairs(d.old.Services, d.new.Services, name, func(name string, a, b *ir.Service) {
		for _, number := range slices.Concat(udpNumbers(a), udpNumbers(b)) {
			for _, ip := range slices.Concat(sendersTo(d.old, a), sendersTo(d.new, b)) {
				d.datagram(&try.Request{
					From: try.Sender{Kind: try.Outside}, Method: "GET", Scheme: "udp", Host: name, Port: number, Path: "/", IP: ip,
				}, outside, service(name))
			}
		}
	})
	d.what = ""
}

// datagram compares what happens to one.
func (d *differ) datagram(r *try.Request, from, to Subject) {
	a, b := tried(d.old, r), tried(d.new, r)
	if kind := kindOf(a, b); kind != "" {
		d.add(d.effect(kind, []Subject{from}, to, a, b), r, a, b)
	}
}

// wayTo is a datagram to a port that a service uses, and whose it is.
func wayTo(m *ir.Mesh, use *ir.Use, port string) (Subject, try.Request) {
	r := try.Request{Method: "GET", Scheme: "udp", Host: use.To, Path: "/"}
	if !use.External {
		r.Port = m.Service(use.To).UDPPort(port).Number
		return service(use.To), r
	}
	e := m.External(use.To)
	r.Host, r.Port = e.Hosts[0], e.UDPPort(port).Number
	if network, known := ir.ParseHost(e.Hosts[0]); known {
		r.Host = network.Addr().String()
	}
	return member(ir.ExternalRef(use.To)), r
}

// udpNumbers are those of the ports of UDP of a service.
func udpNumbers(s *ir.Service) []uint16 {
	var out []uint16
	for i := 0; s != nil && i < len(s.UDP); i++ {
		out = append(out, s.UDP[i].Number)
	}
	return out
}

// sendersTo are an address of each range from which a service takes datagrams; the zero value where it takes those of
// anyone. Those of pods are told as the datagrams of their services.
func sendersTo(m *ir.Mesh, s *ir.Service) []netip.Addr {
	var out []netip.Addr
	if s == nil {
		return nil
	}
	for _, path := range m.UDPTaken(s) {
		switch {
		case path.Addresses.IsValid():
			out = append(out, path.Addresses.Addr())
		case path.Other == "":
			out = append(out, netip.Addr{})
		}
	}
	return out
}
