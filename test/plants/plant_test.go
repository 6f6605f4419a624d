//go:build e2e

package plants

import (
	"fmt"
	"testing"
)

// plant is a cause that can be planted.
type plant struct {
	name string
	// does plants the cause, and returns the service that it concerns where that is chosen; empty where it is always
	// the same.
	does func(t *testing.T, f *field) (of string)
	// shows says what is missing in the numbers for the symptom; empty when it is there. Before are those from before
	// the plant.
	shows func(n, before *numbers, of string) string
}

// plants are all causes that can be planted, in the order of docs/doctor-causes.md.
func plants() []plant {
	var all []plant
	for _, some := range [][]plant{inTheSpec(), inInstances(), inProxies(), inOthers()} {
		all = append(all, some...)
	}
	return all
}

// shown is how many failures make a symptom.
const shown = 20

// failing wants requests between two to fail with the status, and a flag of Envoy; TARGET stands for the service that
// the plant chose.
func failing(caller, callee string, status int, flag string) func(n, before *numbers, of string) string {
	return func(n, before *numbers, of string) string {
		from, to := targeted(caller, of), targeted(callee, of)
		if grown := n.failures(from, to, status, flag) - before.failures(from, to, status, flag); grown < shown {
			return fmt.Sprintf("%d of %d failures %d %s of %s", grown, shown, status, flag, to)
		}
		return ""
	}
}

// denied wants requests between two to be denied.
func denied(caller, callee string) func(n, before *numbers, of string) string {
	count := func(n *numbers) uint64 {
		return n.sum(caller, callee, func(e *edge) uint64 {
			if e.Server == nil {
				return 0
			}
			return e.Server.Denied
		})
	}
	return func(n, before *numbers, _ string) string {
		if grown := count(n) - count(before); grown < shown {
			return fmt.Sprintf("%d of %d denied requests", grown, shown)
		}
		return ""
	}
}

// both wants two things to be missing no more.
func both(one, other func(n, before *numbers, of string) string) func(n, before *numbers, of string) string {
	return func(n, before *numbers, of string) string {
		if missing := one(n, before, of); missing != "" {
			return missing
		}
		return other(n, before, of)
	}
}

// absent wants a proxy to be one that is not connected.
func absent(node string) func(n, before *numbers, of string) string {
	return func(n, _ *numbers, of string) string {
		if is := n.proxy(targeted(node, of)); is != "not connected" {
			return targeted(node, of) + " is " + is
		}
		return ""
	}
}
