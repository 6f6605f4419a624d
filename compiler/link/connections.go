package link

import (
	"fmt"
	"path"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

// connections are what one place says of connections.
func (l *linker) connections(here place, c *spec.Connections) ir.Connections {
	out := ir.Connections{
		Max: countSetting(here, c.Max), MaxPending: countSetting(here, c.MaxPending),
		MaxRequests:    countSetting(here, c.MaxRequests),
		ConnectTimeout: l.durationSetting(here.field("connectTimeout"), c.ConnectTimeout),
		IdleTimeout:    l.durationSetting(here.field("idleTimeout"), c.IdleTimeout),
	}
	if k := c.Keepalive; k != nil {
		out.KeepaliveTime = l.secondsSetting(here.field("keepalive.time"), k.Time)
		out.KeepaliveInterval = l.secondsSetting(here.field("keepalive.interval"), k.Interval)
		out.KeepaliveProbes = countSetting(here, k.Probes)
		if !k.Time.IsSet() && !k.Interval.IsSet() && !k.Probes.IsSet() {
			l.add(diag.EmptyList, here.field("keepalive"), "keepalive is empty", here.pos(k.Pos)).
				hint(`keepalive: time: "5m"`)
		}
	}
	return out
}

func countSetting(here place, f spec.Field[int]) *ir.Setting[uint32] {
	if !f.IsSet() {
		return nil
	}
	return setting(here, uint32(f.Value), f.Pos)
}

// maxKeepalive is what Linux takes for the times of TCP keepalive.
const maxKeepalive = 32767 * time.Second

// secondsSetting is for times that the kernel counts in seconds.
func (l *linker) secondsSetting(here place, f spec.Field[string]) *ir.Setting[ir.Duration] {
	s := l.durationSetting(here, f)
	if s == nil || s.Value == 0 {
		return s
	}
	if d := time.Duration(s.Value); d%time.Second != 0 || d > maxKeepalive {
		l.add(diag.OutOfRange, here, fmt.Sprintf("%s is %q, and must be whole seconds, at most 32767", here.name(),
			f.Value), s.Pos)
	}
	return s
}

// sharing refuses a bound of connections where the requests to each of the ports share them. What a directory above
// says of all services or calls is not meant for each.
func (l *linker) sharing(here place, c *spec.Connections, ports []ir.Port, share func(*ir.Port) bool, whose string,
	written source.Position,
) {
	if c == nil || !c.Max.IsSet() || len(ports) == 0 ||
		path.Dir(here.pos(c.Max.Pos).File) != path.Dir(written.File) {
		return
	}
	for i := range ports {
		if !share(&ports[i]) {
			return
		}
	}
	l.add(diag.NoEffect, here.field("connections.max"), fmt.Sprintf("the max of %s cannot take effect: its requests "+
		"share connections, by HTTP/2", whose), here.pos(c.Max.Pos)).
		hint("write maxRequests: it bounds the requests in flight from each proxy")
}

// multiplexed reports whether requests share connections to who listens on the port, where its own protocol is spoken.
func multiplexed(p *ir.Port) bool { return p.Protocol.Multiplexed() }

// sharingInUse is [linker.sharing] of a member's use of a callee.
func (l *linker) sharingInUse(here place, caller *ir.Peer, use *ir.Use, s *spec.Use) {
	share, ports := multiplexed, make([]ir.Port, 0, len(use.Ports))
	switch callee := l.declaredServices[use.To]; {
	case callee != nil:
		share = callee.Forms.Share
	case l.externals[use.To].spec.Via.IsSet() && caller.Kind == ir.KindService:
		share = func(p *ir.Port) bool { return p.Protocol.IsHTTP() }
	}
	for _, name := range use.Ports {
		ports = append(ports, l.calleePort(use, name))
	}
	l.sharing(here, s.Connections, ports, share, "a call to "+use.To, use.Pos)
}

// defaultBounds refuses what the mesh says of connections that holds for nobody.
func (l *linker) defaultBounds(here place, d *spec.TrafficDefaults) {
	if d == nil || d.Connections == nil {
		return
	}
	var ports []ir.Port
	for _, s := range l.mesh.Services {
		ports = append(ports, s.Ports...)
	}
	for _, e := range l.mesh.Externals {
		ports = append(ports, e.Ports...)
	}
	const whose = "mesh.defaults"
	l.sharing(here, d.Connections, ports, multiplexed, whose, here.pos(d.Connections.Pos))
	if len(ports) > 0 {
		l.requestsOnly(here.field("connections.maxRequests"), ports, "the maxRequests of "+whose,
			d.Connections.MaxRequests.Pos)
	}
}
