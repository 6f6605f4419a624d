package ir

import (
	"strings"

	"github.com/meshc/meshc/compiler/source"
)

// LoadBalancer is how an instance is chosen. The zero value is the default.
type LoadBalancer struct {
	// Policy is empty for "least-request".
	Policy BalancePolicy `json:"policy,omitempty"`
	// Hash is set for the policies that hash, on ports that speak HTTP; elsewhere
	// they hash the caller's address.
	Hash *Hash `json:"hash,omitempty"`
	// SlowStart is how long a new instance's share grows; 0 for none.
	SlowStart Duration `json:"slowStart,omitempty"`
	// PanicThreshold is the share of healthy instances, in percent, below which
	// all are tried. Nil for the default.
	PanicThreshold *float64 `json:"panicThreshold,omitempty"`
}

// BalancePolicy is how an instance is chosen.
type BalancePolicy string

// The policies.
const (
	LeastRequest BalancePolicy = "least-request"
	RoundRobin   BalancePolicy = "round-robin"
	Random       BalancePolicy = "random"
	RingHash     BalancePolicy = "ring-hash"
	Maglev       BalancePolicy = "maglev"
)

// Hashes reports whether requests of the same hash go to the same instance.
func (p BalancePolicy) Hashes() bool { return p == RingHash || p == Maglev }

// Hash is what of a request is hashed: exactly one of Header, Cookie, Query and
// SourceIP.
type Hash struct {
	Header   string `json:"header,omitempty"`
	Cookie   string `json:"cookie,omitempty"`
	Query    string `json:"query,omitempty"`
	SourceIP bool   `json:"sourceIP,omitempty"`
	// TTL is how long the proxy's own cookie lives; 0 for none.
	TTL Duration `json:"ttl,omitempty"`
}

// Locality is which instances are near.
type Locality struct {
	// Zone prefers the caller's zone to others of its region.
	Zone     bool            `json:"zone,omitempty"`
	Failover []Failover      `json:"failover,omitempty"`
	Pos      source.Position `json:"pos,omitzero"`
}

// Failover is where the traffic of a region goes that has too few healthy
// instances.
type Failover struct {
	From string          `json:"from"`
	To   string          `json:"to"`
	Pos  source.Position `json:"pos,omitzero"`
}

// Distance is how far an endpoint is from a caller; 0 is the nearest.
func (l *Locality) Distance(caller, e *Endpoint) uint32 {
	region := caller.InRegion()
	if e.InRegion() == region {
		if l.Zone && e.Zone != caller.Zone {
			return 1
		}
		return 0
	}
	distance := uint32(2)
	for _, f := range l.Failover {
		if f.From != region {
			continue
		}
		if f.To == e.InRegion() {
			return distance
		}
		distance++
	}
	return distance
}

// InRegion is the region of the endpoint: as written, or its zone up to the last
// dash; "" when neither is known.
func (e *Endpoint) InRegion() string {
	if e.Region != "" {
		return e.Region
	}
	if i := strings.LastIndexByte(e.Zone, '-'); i > 0 {
		return e.Zone[:i]
	}
	return e.Zone
}
