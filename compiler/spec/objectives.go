package spec

// Objectives are what part of the requests of a service or an edge is to be well.
type Objectives struct {
	Pos          Pos
	Availability Field[float64] `cue:"availability"`
	// Latency has shares of the requests by the time that they take less than.
	Latency map[string]Field[float64] `cue:"latency"`
}
