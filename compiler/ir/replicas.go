package ir

// Replicas is how many pods there are.
type Replicas struct {
	// Min and Max are bounds; Min is at least 1, and at most Max.
	Min int32 `json:"min"`
	Max int32 `json:"max"`
	// CPU is how busy the threads of a proxy may be on average, in percent.
	CPU int32 `json:"cpu"`
}
