package ir

import "github.com/meshc/meshc/compiler/source"

// RateLimit is a bound on requests: a bucket of Requests and Burst tokens, which
// gets Requests of them every Per.
type RateLimit struct {
	// Owner is the service or gateway that the bound stands in.
	Owner    string   `json:"owner" member:""`
	Requests uint32   `json:"requests"`
	Per      Duration `json:"per"`
	Burst    uint32   `json:"burst,omitempty"`
	// PerCaller gives each caller a bucket of its own. Services only.
	PerCaller bool `json:"perCaller,omitempty"`
	// Global has the mesh's rate limit service count.
	Global bool            `json:"global,omitempty"`
	Pos    source.Position `json:"pos,omitzero"`
}

// ClientRateLimit is a bound on the requests that a gateway takes, of all of them or of each client.
type ClientRateLimit struct {
	Name  string    `json:"name"`
	Bound RateLimit `json:"bound"`
	// PerAddress gives each client a bucket, by its address, and Header each value of that header; requests without it
	// have one together.
	PerAddress bool   `json:"perAddress,omitempty"`
	Header     string `json:"header,omitempty"`
}

// CountedGlobally is the first bound of the gateway that the mesh's rate limit service counts; nil for none.
func (g *Gateway) CountedGlobally() *RateLimit {
	for i := range g.RateLimits {
		if bound := &g.RateLimits[i].Bound; bound.Global {
			return bound
		}
	}
	return nil
}

// RateLimitService is the service of the mesh that counts for all proxies.
type RateLimitService struct {
	Service    string          `json:"service" member:""`
	Port       string          `json:"port"`
	Timeout    Duration        `json:"timeout"`
	FailClosed bool            `json:"failClosed,omitempty"`
	Pos        source.Position `json:"pos,omitzero"`
}
