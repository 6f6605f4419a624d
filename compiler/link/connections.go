package link

import (
	"fmt"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
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
