//go:build !linux

package preflight

// LimitsOfThisMachine are unknown: proxies run on Linux.
func LimitsOfThisMachine() Limits { return Limits{} }
