package spec

// Outliers are instances that fail.
type Outliers struct {
	Pos                      Pos
	ConsecutiveLocalFailures Field[int]         `cue:"consecutiveLocalFailures"`
	Consecutive5xx           Field[int]         `cue:"consecutive5xx"`
	ConsecutiveGatewayErrors Field[int]         `cue:"consecutiveGatewayErrors"`
	SuccessRate              *SuccessRate       `cue:"successRate"`
	FailurePercentage        *FailurePercentage `cue:"failurePercentage"`
	Interval                 Field[string]      `cue:"interval"`
	EjectFor                 Field[string]      `cue:"ejectFor"`
	MaxEjected               Field[float64]     `cue:"maxEjected"`
}

// SuccessRate compares instances with each other.
type SuccessRate struct {
	Pos          Pos
	StdevFactor  Field[float64] `cue:"stdevFactor"`
	MinInstances Field[int]     `cue:"minInstances"`
	MinRequests  Field[int]     `cue:"minRequests"`
}

// FailurePercentage compares instances with a threshold.
type FailurePercentage struct {
	Pos          Pos
	Threshold    Field[float64] `cue:"threshold"`
	MinInstances Field[int]     `cue:"minInstances"`
	MinRequests  Field[int]     `cue:"minRequests"`
}
