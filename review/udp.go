package review

import (
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// udpCalls are the ports to which a member sends datagrams.
func udpCalls(s *ir.Scope) []Call {
	var out []Call
	for _, use := range s.Member().Uses {
		for _, name := range use.UDP {
			out = append(out, Call{To: use.To, Port: name + " (udp), past its proxy"})
		}
	}
	return out
}

// udpOf are the ways on which datagrams come to a service and leave it, and what meshc redirect is told of them on a
// host.
func udpOf(m *ir.Mesh, s *ir.Service) []Setting {
	var out []Setting
	for _, way := range []struct {
		flag, word string
		paths      []ir.UDPPath
	}{{"--udp-inbound", "from", m.UDPTaken(s)}, {"--udp-outbound", "to", m.UDPSent(s)}} {
		if len(way.paths) == 0 {
			continue
		}
		var ways []string
		for _, p := range way.paths {
			other := p.Other
			if other == "" {
				other = "anyone"
			}
			ways = append(ways, p.String()+" "+way.word+" "+other)
		}
		out = append(out, Setting{"udp " + way.word, strings.Join(ways, ", "), s.Pos.String()})
		if !s.Workload.InCluster() && !s.Explicit {
			out = append(out, Setting{
				"meshc redirect", way.flag + " " + strings.Join(ir.UDPFlags(way.paths), ","),
				s.Pos.String(),
			})
		}
	}
	return out
}
