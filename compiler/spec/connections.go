package spec

// Connections are bounds on connections.
type Connections struct {
	Pos            Pos
	Max            Field[int]    `cue:"max"`
	MaxPending     Field[int]    `cue:"maxPending"`
	MaxRequests    Field[int]    `cue:"maxRequests"`
	ConnectTimeout Field[string] `cue:"connectTimeout"`
	IdleTimeout    Field[string] `cue:"idleTimeout"`
	Keepalive      *Keepalive    `cue:"keepalive"`
}

// Keepalive of TCP.
type Keepalive struct {
	Pos      Pos
	Time     Field[string] `cue:"time"`
	Interval Field[string] `cue:"interval"`
	Probes   Field[int]    `cue:"probes"`
}
