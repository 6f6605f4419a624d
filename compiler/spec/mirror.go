package spec

// Mirror is a copy of a share of the requests.
type Mirror struct {
	Pos     Pos
	Service Field[string]  `cue:"service" member:"service"`
	Version Field[string]  `cue:"version"`
	Percent Field[float64] `cue:"percent"`
}
