package spec

// Fault is for a share of the requests.
type Fault struct {
	Pos   Pos
	Delay *Delay `cue:"delay"`
	Abort *Abort `cue:"abort"`
}

// Delay of requests.
type Delay struct {
	Pos     Pos
	Percent Field[float64] `cue:"percent"`
	For     Field[string]  `cue:"for"`
}

// Abort answers without sending.
type Abort struct {
	Pos        Pos
	Percent    Field[float64] `cue:"percent"`
	Status     Field[int]     `cue:"status"`
	GRPCStatus Field[int]     `cue:"grpcStatus"`
}
