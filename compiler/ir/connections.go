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
	// flight.
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

func defaultBounds() Bounds {
	many := Setting[uint32]{Value: 1024}
	return Bounds{
		Max: many, MaxPending: many, MaxRequests: many,
		ConnectTimeout: Setting[Duration]{Value: Duration(time.Second)},
		IdleTimeout:    Setting[Duration]{Value: Duration(time.Hour)},
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
