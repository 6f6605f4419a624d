package spec

// Route is where requests go that match.
type Route struct {
	Pos             Pos
	Name            Field[string]   `cue:"name"`
	Match           *Match          `cue:"match"`
	To              []*Destination  `cue:"to"`
	Timeout         Field[string]   `cue:"timeout"`
	IdleTimeout     Field[string]   `cue:"idleTimeout"`
	Retries         *Retries        `cue:"retries"`
	Mirror          *Mirror         `cue:"mirror"`
	Rewrite         *Rewrite        `cue:"rewrite"`
	Redirect        *Redirect       `cue:"redirect"`
	DirectResponse  *DirectResponse `cue:"directResponse"`
	Headers         *Headers        `cue:"headers"`
	CORS            *CORS           `cue:"cors"`
	MaxRequestBytes Field[int]      `cue:"maxRequestBytes"`
	RateLimit       *RateLimit      `cue:"rateLimit"`
	Fault           *Fault          `cue:"fault"`
	Telemetry       *RouteTelemetry `cue:"telemetry"`
}

// Match is which requests a route takes.
type Match struct {
	Pos       Pos
	Host      Field[string]           `cue:"host"`
	Listeners []Field[string]         `cue:"listeners"`
	Path      *PathMatch              `cue:"path"`
	GRPC      *GRPCMatch              `cue:"grpc"`
	Method    Field[string]           `cue:"method"`
	Headers   map[string]*StringMatch `cue:"headers"`
	Query     map[string]*StringMatch `cue:"query"`
}

// PathMatch matches a path.
type PathMatch struct {
	Pos      Pos
	Exact    Field[string] `cue:"exact"`
	Prefix   Field[string] `cue:"prefix"`
	Regex    Field[string] `cue:"regex"`
	Template Field[string] `cue:"template"`
}

// GRPCMatch matches calls of gRPC.
type GRPCMatch struct {
	Pos     Pos
	Service Field[string] `cue:"service"`
	Method  Field[string] `cue:"method"`
}

// StringMatch matches a header or a query parameter.
type StringMatch struct {
	Pos     Pos
	Exact   Field[string] `cue:"exact"`
	Prefix  Field[string] `cue:"prefix"`
	Suffix  Field[string] `cue:"suffix"`
	Regex   Field[string] `cue:"regex"`
	Invert  Field[bool]   `cue:"invert"`
	Present Field[bool]   `cue:"present"`
}

// Destination is a share of a route's requests.
type Destination struct {
	Pos     Pos
	Service Field[string] `cue:"service" member:"service"`
	Version Field[string] `cue:"version"`
	Port    Field[string] `cue:"port"`
	Weight  Field[int]    `cue:"weight"`
}

// Retries of failed requests.
type Retries struct {
	Pos           Pos
	Attempts      Field[int]      `cue:"attempts"`
	PerTryTimeout Field[string]   `cue:"perTryTimeout"`
	On            []Field[string] `cue:"on"`
	Backoff       *Backoff        `cue:"backoff"`
	Hedge         Field[bool]     `cue:"hedge"`
	Budget        *Budget         `cue:"budget"`
}

// Backoff is the wait before a retry.
type Backoff struct {
	Pos  Pos
	Base Field[string] `cue:"base"`
	Max  Field[string] `cue:"max"`
}

// Budget bounds retries.
type Budget struct {
	Pos            Pos
	Percent        Field[float64] `cue:"percent"`
	MinConcurrency Field[int]     `cue:"minConcurrency"`
}
