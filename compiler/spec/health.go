package spec

// Health is how instances are probed.
type Health struct {
	Pos            Pos
	HTTP           *HTTPHealth   `cue:"http"`
	GRPC           *GRPCHealth   `cue:"grpc"`
	TCP            *TCPHealth    `cue:"tcp"`
	Interval       Field[string] `cue:"interval"`
	Timeout        Field[string] `cue:"timeout"`
	UnhealthyAfter Field[int]    `cue:"unhealthyAfter"`
	HealthyAfter   Field[int]    `cue:"healthyAfter"`
}

// HTTPHealth asks for a path.
type HTTPHealth struct {
	Pos  Pos
	Path Field[string] `cue:"path"`
}

// GRPCHealth asks the gRPC health service.
type GRPCHealth struct {
	Pos     Pos
	Service Field[string] `cue:"service"`
}

// TCPHealth opens a connection.
type TCPHealth struct{ Pos Pos }
