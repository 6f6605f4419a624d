package link

import (
	"strings"

	"github.com/meshc/meshc/compiler/spec"
)

// clusterDomain is [ir.Settings.ClusterDomain].
func clusterDomain(f spec.Field[string]) string {
	d := strings.ToLower(f.Value)
	if d == "cluster.local" {
		return ""
	}
	return d
}
