package ir

import "time"

// Connections is what one place says of the connections from each proxy to an
// upstream. A nil field says nothing.
type Connections struct {
	Max               *Setting[uint32]   `json:"max,omitempty"`
	MaxPending        *Setting[uint32]   `json:"maxPending,omitempty"`
	MaxRequests       *Setting[uint32]   `json:"maxRequests,omitempty"`
	ConnectTimeout    *Setting[Duration] `json:"connectTimeout,omitempty"`
	IdleTimeout       *Setting[Duration] `json:"idleTimeout,omitempty"`
	KeepaliveTime     *Setting[Duration] `json:"keepaliveTime,omitempty"`
	KeepaliveInterval *Setting[Duration] `json:"keepaliveInterval,omitempty"`
	KeepaliveProbes   *Setting[uint32]   `json:"keepaliveProbes,omitempty"`
}

// Bounds are in force for the connections from a proxy to an upstream.
type Bounds struct {
	// Max connections, MaxPending requests that wait for one, and MaxRequests in
	// flight. Where requests share connections, [Bounds.Sharing] hold.
	Max, MaxPending, MaxRequests Setting[uint32]
	// ConnectTimeout bounds the opening of a connection, and IdleTimeout ends one
	// without requests.
	ConnectTimeout, IdleTimeout Setting[Duration]
	// Keepalive of TCP; all 0 for none.
	KeepaliveTime, KeepaliveInterval Setting[Duration]
	KeepaliveProbes                  Setting[uint32]
}

// Keepalive reports whether idle connections are probed.
func (b *Bounds) Keepalive() bool {
	return b.KeepaliveTime.Value > 0 || b.KeepaliveInterval.Value > 0 || b.KeepaliveProbes.Value > 0
}

// manyAtOnce is the default of what a proxy has open to a callee at once. It is bounded, so that a callee that hangs
// does not take the memory of its callers, and above what one address can have of connections to another (about 28,000
// source ports): a gateway meets other limits first.
const manyAtOnce = 65536

// Sharing are the bounds where requests share connections, as they do by HTTP/2. Max bounds nothing there, and does
// harm: once a connection is to end, and a stream on it goes on, the next requests would wait for the end of that
// stream.
func (b Bounds) Sharing() Bounds {
	b.Max = defaultBounds().Max
	return b
}

func defaultBounds() Bounds {
	many := Setting[uint32]{Value: manyAtOnce}
	return Bounds{
		Max: many, MaxPending: many, MaxRequests: many,
		ConnectTimeout: Setting[Duration]{Value: Duration(time.Second)},
		IdleTimeout:    Setting[Duration]{Value: Duration(time.Hour)},
	}
}

// leastConnect is what the opening of a connection has at least where no connectTimeout is written.
const leastConnect = Duration(250 * time.Millisecond)

// connectBefore has connections open, or not, before requests that wait for one are given up after that time, where no
// connectTimeout is written: a request that is given up without a connection counts against no instance, so a host
// that is gone would never be found.
func (b *Bounds) connectBefore(timeout Duration) {
	t := &b.ConnectTimeout
	if !t.Pos.IsValid() && timeout > leastConnect {
		t.Value = min(t.Value, max(timeout*3/4, leastConnect))
	}
}

func (b *Bounds) decide(c *Connections) {
	decide(&b.Max, c.Max)
	decide(&b.MaxPending, c.MaxPending)
	decide(&b.MaxRequests, c.MaxRequests)
	decide(&b.ConnectTimeout, c.ConnectTimeout)
	decide(&b.IdleTimeout, c.IdleTimeout)
	decide(&b.KeepaliveTime, c.KeepaliveTime)
	decide(&b.KeepaliveInterval, c.KeepaliveInterval)
	decide(&b.KeepaliveProbes, c.KeepaliveProbes)
}
