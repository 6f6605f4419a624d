package render_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/review"
)

// described is what meshc describe says of all members of a mesh and of the externals.
func described(t *testing.T, m *ir.Mesh) string {
	t.Helper()
	var all []*review.Description
	add := func(kind, name string) {
		d, err := review.Describe(m, kind, name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	for _, s := range m.Services {
		add("service", s.Name)
	}
	for _, g := range m.Gateways {
		add("gateway", g.Name)
	}
	for _, e := range m.Externals {
		add("external", e.Name)
	}
	out, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// notDescribed are beginnings of fields of which meshc describe tells nothing, with the reason.
var notDescribed = map[string]string{
	"mesh.limits.series":          "meshc vet --series prints what it bounds",
	"mesh.certificates.":          "it is the mesh's, not a member's",
	"mesh.clusterDomain":          "of a service the names are told",
	"mesh.externalAuthorization.": "it is the mesh's; of a member the name is told",
	"mesh.flux.":                  "it is the mesh's, not a member's",
	"mesh.images.":                "it is the mesh's, not a member's",
	"mesh.jwt.":                   "it is the mesh's; of a rule the issuer's name is told",
	"mesh.name":                   "it is the mesh's, not a member's",
	"mesh.operators.":             "it is the mesh's, not a member's",
	"mesh.owners.":                "it is for reviews",
	"mesh.rateLimit.":             "it is the mesh's, not a member's",
	"mesh.server.":                "it is the mesh's, not a member's",
	"mesh.silence.":               "it is for findings",
	"mesh.telemetry.collector.":   "it is the mesh's, not a member's",
	"mesh.trustDomains.":          "it is the mesh's, not a member's",
	"services.[].silence.":        "it is for findings",
	"gateways.[].silence.":        "it is for findings",
	"external.[].silence.":        "it is for findings",
	"services.[].grants.":         "it is for reviews",
	"gateways.[].grants.":         "it is for reviews",
}

func isNotDescribed(field string) bool {
	for beginning := range notDescribed {
		if strings.HasPrefix(field, beginning) {
			return true
		}
	}
	return false
}
