package spec

// Probe is a request that is let in without mutual TLS.
type Probe struct {
	Pos  Pos
	Port Field[int] `cue:"port"`
	HTTP *HTTPProbe `cue:"http"`
	GRPC *GRPCProbe `cue:"grpc"`
	TCP  *TCPProbe  `cue:"tcp"`
}

// HTTPProbe asks for a path.
type HTTPProbe struct {
	Pos  Pos
	Path Field[string] `cue:"path"`
}

// GRPCProbe asks the gRPC health service.
type GRPCProbe struct{ Pos Pos }

// TCPProbe opens a connection.
type TCPProbe struct{ Pos Pos }
