// Package check finds what only a whole mesh can show: routes that hide each
// other, tries that do not fit into their time, permissions that nobody uses.
// Each check is a file, and reads the linked mesh alone.
package check

import (
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
)

// checks in the order in which they run; findings are sorted afterwards. What the linker left out of a mesh with errors can
// only take findings away from them.
var checks = []func(*ir.Mesh) diag.List{
	tries,
	attempts,
	hedges,
	deniesBypassed,
	allowsByRegex,
	wildcards,
	openPorts,
	nobodySigns,
	privilegedPods,
}

// needWhole are checks whose findings would be wrong if the linker left
// something out.
var needWhole = []func(*ir.Mesh) diag.List{
	hiddenRoutes,
	claimedHosts,
	unservedHosts,
	emptyVersions,
	longerThanCaller,
	permissivePorts,
	uncheckedTokens,
	unusedAllow,
	tests,
}

// Run runs the checks. Whole says whether the linker found no error.
func Run(m *ir.Mesh, whole bool) diag.List {
	var found diag.List
	for _, check := range checks {
		found.Add(check(m)...)
	}
	if whole {
		for _, check := range needWhole {
			found.Add(check(m)...)
		}
	}
	return found
}
