package ir

import (
	"slices"

	"github.com/meshc/meshc/compiler/source"
)

// Telemetry is what a member's proxies report, besides the metrics that are read.
type Telemetry struct {
	// AccessLog is nil where nothing is logged.
	AccessLog *AccessLog `json:"accessLog,omitempty"`
	// Tracing is nil where requests are not traced.
	Tracing *Tracing `json:"tracing,omitempty"`
	// Push has metrics sent to the mesh's collector; nil where they are not.
	Push *Setting[bool] `json:"push,omitempty"`
}

// ByOTLP reports whether something of it goes to the mesh's collector.
func (t *Telemetry) ByOTLP() bool {
	return t.Tracing != nil || t.Push != nil || t.AccessLog != nil && t.AccessLog.Format == LogOTLP
}

// Tracing is how a member's proxies trace requests.
type Tracing struct {
	// Sampling is the share of the traces that begin there which are recorded, in percent.
	Sampling float64         `json:"sampling"`
	Pos      source.Position `json:"pos,omitzero"`
}

// Collector takes OTLP over gRPC.
type Collector struct {
	// To is the service, or with External the external, that it is; Port is by name.
	To       string `json:"to" member:""`
	External bool   `json:"external,omitempty"`
	Port     string `json:"port"`
	// Headers that reports have, by name.
	Headers []SecretHeader  `json:"headers,omitempty"`
	Pos     source.Position `json:"pos,omitzero"`
}

// SecretHeader is a header with a value that the mesh does not have.
type SecretHeader struct {
	Name string `json:"name"`
	SecretValue
}

// SecretValue is the content of a file: Key in the directory Secret of Proxy.SecretDirectory.
type SecretValue struct {
	Secret string          `json:"secret"`
	Key    string          `json:"key"`
	Pos    source.Position `json:"pos,omitzero"`
}

// Secrets are the directories in Proxy.SecretDirectory that the member's proxy reads, each once.
func (s *Scope) Secrets() (out []string) {
	if s.Gateway != nil {
		out = s.Gateway.Secrets()
	}
	add := func(name string) {
		if name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	if c := s.Settings.Collector; c != nil {
		for i := range c.Headers {
			add(c.Headers[i].Secret)
		}
	}
	for _, use := range s.Member().Uses {
		if e := s.Externals[use.To]; use.External && !s.GoesVia(e) {
			add(e.Secret)
		}
	}
	return out
}

// AccessLog is which requests a member's proxies log, and how.
type AccessLog struct {
	Format LogFormat `json:"format"`
	// Logged are those of which no route says anything.
	Logged Logged `json:"logged"`
	// Query has paths with their query strings.
	Query bool `json:"query,omitempty"`
	// File that lines are appended to; empty for standard output, and with LogOTLP.
	File string          `json:"file,omitempty"`
	Pos  source.Position `json:"pos,omitzero"`
}

// LogFormat is the form of a line.
type LogFormat string

// The forms.
const (
	LogJSON LogFormat = "json"
	LogText LogFormat = "text"
	LogOTLP LogFormat = "otlp" // a record of OpenTelemetry, for the mesh's collector
)

// Logged says which requests are logged.
type Logged struct {
	When LogWhen `json:"when"`
	// Percent of the requests with LogSampled; 0 otherwise.
	Percent float64         `json:"percent,omitempty"`
	Pos     source.Position `json:"pos,omitzero"`
}

// LogWhen is when a request is logged.
type LogWhen string

// When a request is logged.
const (
	LogAll     LogWhen = "all"
	LogErrors  LogWhen = "errors"
	LogSampled LogWhen = "sampled"
	LogNever   LogWhen = "never"
)
