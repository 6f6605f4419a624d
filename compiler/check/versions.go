package check

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
)

// emptyVersions finds versions that no known instance belongs to: requests for
// them would get 503.
func emptyVersions(m *subject) diag.List {
	var found diag.List
	for _, s := range m.Services {
		if len(s.Workload.Endpoints) == 0 {
			continue // its instances are not known before it runs
		}
		for i := range s.Versions {
			v := &s.Versions[i]
			if slices.ContainsFunc(s.Workload.Endpoints, func(e ir.Endpoint) bool { return e.Carries(v) }) {
				continue
			}
			found.Add(diag.New(diag.EmptyVersion, fmt.Sprintf("services.%s.versions.%s", s.Name, v.Name),
				fmt.Sprintf("no endpoint of %s has the labels of version %s", s.Name, v.Name), v.Pos, s.Workload.Pos).
				WithHint("list an endpoint with its labels: requests for it are answered with 503"))
		}
	}
	return found
}
