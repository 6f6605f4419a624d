package spec

// Telemetry is what proxies report.
type Telemetry struct {
	Pos       Pos
	Collector *Collector `cue:"collector"`
	AccessLog *AccessLog `cue:"accessLog"`
	Tracing   *Tracing   `cue:"tracing"`
	Metrics   *Metrics   `cue:"metrics"`
}

// MemberTelemetry is what a member says of its proxies' reports.
type MemberTelemetry struct {
	Pos       Pos
	AccessLog *AccessLog `cue:"accessLog"`
	Tracing   *Tracing   `cue:"tracing"`
}

// RouteTelemetry is what is reported of a route's requests.
type RouteTelemetry struct {
	Pos       Pos
	AccessLog *LoggedRequests `cue:"accessLog"`
	Tracing   *Tracing        `cue:"tracing"`
}

// Tracing is how many traces are recorded.
type Tracing struct {
	Pos      Pos
	Sampling Field[float64] `cue:"sampling"`
}

// Collector takes OTLP.
type Collector struct {
	Pos      Pos
	Service  Field[string]           `cue:"service" member:"service"`
	External Field[string]           `cue:"external"`
	Port     Field[string]           `cue:"port"`
	Headers  map[string]*SecretValue `cue:"headers"`
}

// SecretValue is where a value is that the spec does not have.
type SecretValue struct {
	Pos    Pos
	Secret Field[string] `cue:"secret"`
	Key    Field[string] `cue:"key"`
}

// AccessLog is which requests are logged and how.
type AccessLog struct {
	Pos     Pos
	Format  Field[string]  `cue:"format"`
	When    Field[string]  `cue:"when"`
	Percent Field[float64] `cue:"percent"`
	Query   Field[bool]    `cue:"query"`
	File    Field[string]  `cue:"file"`
}

// LoggedRequests are those of a route.
type LoggedRequests struct {
	Pos     Pos
	When    Field[string]  `cue:"when"`
	Percent Field[float64] `cue:"percent"`
}
