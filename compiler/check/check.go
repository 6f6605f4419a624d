// Package check finds what only a whole mesh can show: routes that hide each
// other, tries that do not fit into their time, permissions that nobody uses.
// Each check is a file, and reads the linked mesh alone.
package check

import (
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
)

// subject is the mesh that is checked.
type subject struct {
	*ir.Mesh
	// requests are the mesh's calls whose time and tries a proxy bounds: below HTTP there are none.
	requests []ir.Call
}

// requests are the calls of a mesh that a [subject] has.
func requests(m *ir.Mesh) []ir.Call {
	n := 0
	for _, s := range m.Services {
		for i := range s.Uses {
			if callee := m.Service(s.Uses[i].To); callee != nil && !s.Uses[i].External {
				n += len(s.Uses[i].Ports) * (len(callee.Routes) + 1)
			}
		}
	}
	out := make([]ir.Call, 0, n) // one is large
	for c := range m.Calls() {
		if c.Port.Protocol.IsHTTP() {
			out = append(out, c)
		}
	}
	return out
}

// checks in the order in which they run; findings are sorted afterwards. What the linker left out of a mesh with
// errors can only take findings away from them.
var checks = []func(*subject) diag.List{
	tries,
	attempts,
	hedges,
	budgets,
	deniesBypassed,
	allowsByRegex,
	wildcards,
	openPorts,
	udpPorts,
	nobodySigns,
	privilegedPods,
	controlPorts,
	addressesBelowHTTP,
	formsBesideRules,
	formsNowhere,
	sharedAccounts,
}

// needWhole are checks whose findings would be wrong if the linker left
// something out.
var needWhole = []func(*subject) diag.List{
	hiddenRoutes,
	claimedHosts,
	unservedHosts,
	emptyVersions,
	longerThanCaller,
	permissivePorts,
	undeclaredTaken,
	uncheckedTokens,
	unusedAllow,
	tooManySeries,
	tests,
}

// Run runs the checks. Whole says whether the linker found no error.
func Run(m *ir.Mesh, whole bool) diag.List {
	var found diag.List
	s := &subject{m, requests(m)}
	for _, check := range checks {
		found.Add(check(s)...)
	}
	if whole {
		for _, check := range needWhole {
			found.Add(check(s)...)
		}
	}
	return found
}
