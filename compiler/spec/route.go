package spec

// Route is where requests go that match.
type Route struct {
	Pos      Pos
	Name     Field[string]  `cue:"name"`
	Match    *Match         `cue:"match"`
	To       []*Destination `cue:"to"`
	Timeout  Field[string]  `cue:"timeout"`
	Retries  *Retries       `cue:"retries"`
	Mirror   Unsupported    `cue:"mirror"`
	Rewrite  Unsupported    `cue:"rewrite"`
	Redirect Unsupported    `cue:"redirect"`
	Headers  Unsupported    `cue:"headers"`
	Fault    Unsupported    `cue:"fault"`
}

// Match is which requests a route takes.
type Match struct {
	Pos     Pos
	Host    Field[string]           `cue:"host"`
	Path    *PathMatch              `cue:"path"`
	Method  Field[string]           `cue:"method"`
	Headers map[string]*StringMatch `cue:"headers"`
	Query   map[string]*StringMatch `cue:"query"`
}

// PathMatch matches a path.
type PathMatch struct {
	Pos    Pos
	Exact  Field[string] `cue:"exact"`
	Prefix Field[string] `cue:"prefix"`
	Regex  Field[string] `cue:"regex"`
}

// StringMatch matches a header or a query parameter.
type StringMatch struct {
	Pos     Pos
	Exact   Field[string] `cue:"exact"`
	Prefix  Field[string] `cue:"prefix"`
	Regex   Field[string] `cue:"regex"`
	Present Field[bool]   `cue:"present"`
}

// Destination is a share of a route's requests.
type Destination struct {
	Pos     Pos
	Service Field[string] `cue:"service"`
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
	Budget        *Budget         `cue:"budget"`
}

// Budget bounds retries.
type Budget struct {
	Pos            Pos
	Percent        Field[float64] `cue:"percent"`
	MinConcurrency Field[int]     `cue:"minConcurrency"`
}
