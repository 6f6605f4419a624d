package ir

import "github.com/meshc/meshc/compiler/source"

// Route is where requests go that match.
type Route struct {
	// Name is stable and readable, and unique among its neighbours.
	Name  string `json:"name"`
	Match Match  `json:"match,omitzero"`
	// ExposedBy is the service that wrote it, of a gateway's; empty for the gateway itself.
	ExposedBy string `json:"exposedBy,omitempty" member:""`
	// To is where they go, in the order written, and the weights sum to more than
	// 0. Empty when Redirect or DirectResponse answers.
	To []Destination `json:"to,omitempty"`
	// Traffic is what the route says; see [Settings.Policy].
	Traffic Traffic `json:"traffic,omitzero"`
	// Headers are edited on the way.
	Headers        Headers         `json:"headers,omitzero"`
	Rewrite        *Rewrite        `json:"rewrite,omitempty"`
	Redirect       *Redirect       `json:"redirect,omitempty"`
	DirectResponse *DirectResponse `json:"directResponse,omitempty"`
	Mirror         *Mirror         `json:"mirror,omitempty"`
	CORS           *CORS           `json:"cors,omitempty"`
	RateLimit      *RateLimit      `json:"rateLimit,omitempty"`
	Fault          *Fault          `json:"fault,omitempty"`
	// Logged are those requests that are logged; nil for what the proxy's own [AccessLog] says.
	Logged *Logged `json:"logged,omitempty"`
	// Sampling is the share of the traces that begin with its requests which are recorded, in percent; nil for what the
	// proxy's own [Tracing] says.
	Sampling *Setting[float64] `json:"sampling,omitempty"`
	// MaxRequestBytes bounds a request's body; 0 for no bound.
	MaxRequestBytes uint32          `json:"maxRequestBytes,omitempty"`
	Pos             source.Position `json:"pos,omitzero"`
}

// Destination is a share of a route's requests.
type Destination struct {
	// Service is always set; Version is empty for any instance.
	Service string `json:"service" member:""`
	Version string `json:"version,omitempty"`
	// Port by name; empty for the port that the request came for.
	Port   string          `json:"port,omitempty"`
	Weight uint32          `json:"weight"`
	Pos    source.Position `json:"pos,omitzero"`
}

// Answers reports whether the proxy answers by itself, so that the route has no
// destination.
func (r *Route) Answers() bool { return r.Redirect != nil || r.DirectResponse != nil }

// GoesOn reports whether the requests of a gateway's route go on through the
// service's own routes: all go to one service, and no version of it is named.
func (r *Route) GoesOn() bool { return len(r.To) == 1 && r.To[0].Version == "" }

// Targets are the destinations and the mirror's.
func (r *Route) Targets() []Destination {
	if r.Mirror == nil {
		return r.To
	}
	return append(r.To[:len(r.To):len(r.To)], r.Mirror.Destination)
}
