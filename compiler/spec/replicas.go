package spec

// Replicas is how many pods there are.
type Replicas struct {
	Pos Pos
	Min Field[int] `cue:"min"`
	Max Field[int] `cue:"max"`
	CPU Field[int] `cue:"cpu"`
}
