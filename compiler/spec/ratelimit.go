package spec

// RateLimit is a bound on requests.
type RateLimit struct {
	Pos      Pos
	Requests Field[int]    `cue:"requests"`
	Per      Field[string] `cue:"per"`
	Burst    Field[int]    `cue:"burst"`
	By       Field[string] `cue:"by"`
	Global   Field[bool]   `cue:"global"`
}

// ClientRateLimit is a bound on the requests that a gateway takes.
type ClientRateLimit struct {
	Pos      Pos
	Requests Field[int]    `cue:"requests"`
	Per      Field[string] `cue:"per"`
	Burst    Field[int]    `cue:"burst"`
	By       Field[string] `cue:"by"`
	Header   Field[string] `cue:"header"`
	Global   Field[bool]   `cue:"global"`
}

// RateLimitService counts for all proxies.
type RateLimitService struct {
	Pos        Pos
	Service    Field[string] `cue:"service" member:"service"`
	Port       Field[string] `cue:"port"`
	Timeout    Field[string] `cue:"timeout"`
	FailClosed Field[bool]   `cue:"failClosed"`
}
