package link

import (
	"fmt"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// connections are what one place says of connections.
func (l *linker) connections(u *spec.Unit, path string, c *spec.Connections) ir.Connections {
	out := ir.Connections{
		Max: countSetting(u, c.Max), MaxPending: countSetting(u, c.MaxPending), MaxRequests: countSetting(u, c.MaxRequests),
		ConnectTimeout: l.durationSetting(u, path+".connectTimeout", c.ConnectTimeout),
		IdleTimeout:    l.durationSetting(u, path+".idleTimeout", c.IdleTimeout),
	}
	if k := c.Keepalive; k != nil {
		out.KeepaliveTime = l.secondsSetting(u, path+".keepalive.time", k.Time)
		out.KeepaliveInterval = l.secondsSetting(u, path+".keepalive.interval", k.Interval)
		out.KeepaliveProbes = countSetting(u, k.Probes)
		if !k.Time.IsSet() && !k.Interval.IsSet() && !k.Probes.IsSet() {
			l.add(diag.EmptyList, path+".keepalive", "keepalive says nothing", u.At(k.Pos)).hint(`keepalive: time: "5m"`)
		}
	}
	return out
}

func countSetting(u *spec.Unit, f spec.Field[int]) *ir.Setting[uint32] {
	if !f.IsSet() {
		return nil
	}
	return setting(u, uint32(f.Value), f.Pos)
}

// maxKeepalive is what Linux takes for the times of TCP keepalive.
const maxKeepalive = 32767 * time.Second

// secondsSetting is for times that the kernel counts in seconds.
func (l *linker) secondsSetting(u *spec.Unit, path string, f spec.Field[string]) *ir.Setting[ir.Duration] {
	s := l.durationSetting(u, path, f)
	if s == nil || s.Value == 0 {
		return s
	}
	if d := time.Duration(s.Value); d%time.Second != 0 || d > maxKeepalive {
		l.add(diag.OutOfRange, path, fmt.Sprintf("%s is %q, and must be whole seconds, at most 32767", lastName(path), f.Value), s.Pos)
	}
	return s
}
