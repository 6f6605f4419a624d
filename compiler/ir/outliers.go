package ir

import (
	"time"

	"github.com/meshc/meshc/compiler/source"
)

// Outliers are instances that fail and are left alone for a while.
type Outliers struct {
	// LocalFailures in a row have an instance ejected; 0 for never, and where answers count, among which they are
	// then. They are what the application did not answer.
	LocalFailures uint32 `json:"localFailures"`
	// Consecutive5xx and GatewayErrors are answers in a row, by the application too; 0 for never.
	Consecutive5xx uint32 `json:"consecutive5xx"`
	GatewayErrors  uint32 `json:"gatewayErrors"`
	// SuccessRate and FailurePercentage are nil where instances are not held against them.
	SuccessRate       *SuccessRate       `json:"successRate,omitempty"`
	FailurePercentage *FailurePercentage `json:"failurePercentage,omitempty"`
	Interval          Duration           `json:"interval"`
	EjectFor          Duration           `json:"ejectFor"`
	// MaxEjected is the share of the instances that may be out, in percent.
	MaxEjected float64         `json:"maxEjected"`
	Pos        source.Position `json:"pos,omitzero"`
}

// SuccessRate ejects instances that are worse than the others by StdevFactor standard deviations.
type SuccessRate struct {
	StdevFactor float64 `json:"stdevFactor"`
	Minimum     Minimum `json:"minimum"`
}

// FailurePercentage ejects instances of whose requests Threshold percent fail.
type FailurePercentage struct {
	Threshold float64 `json:"threshold"`
	Minimum   Minimum `json:"minimum"`
}

// Minimum is what there must be in an interval for a share to say anything: so many instances with so many requests
// each.
type Minimum struct {
	Instances uint32 `json:"instances"`
	Requests  uint32 `json:"requests"`
}

// DefaultOutliers is in force where nothing is written.
func DefaultOutliers() *Outliers {
	return &Outliers{
		LocalFailures: 5, Interval: Duration(10 * time.Second), EjectFor: Duration(30 * time.Second),
		MaxEjected: 10,
	}
}

// ReadAnswers reports whether what an application answers counts.
func (o *Outliers) ReadAnswers() bool {
	return o.Consecutive5xx > 0 || o.GatewayErrors > 0 || o.SuccessRate != nil || o.FailurePercentage != nil
}
