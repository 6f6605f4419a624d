package spec

// Telemetry is what proxies report.
type Telemetry struct {
	Pos       Pos
	AccessLog Unsupported `cue:"accessLog"`
	Tracing   Unsupported `cue:"tracing"`
	Metrics   *Metrics    `cue:"metrics"`
}
