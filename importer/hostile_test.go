package importer_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/importer"
	"github.com/meshc/meshc/importer/consul"
	"github.com/meshc/meshc/importer/together"
)

// TestHostileObjects: what is imported may be anybody's. The time for an object grows no faster than the object, so
// that the largest ones below take seconds, and not hours; what is nested without end is refused.
func TestHostileObjects(t *testing.T) {
	const many = 150_000
	names := func(indent string) string {
		var b strings.Builder
		for i := range many {
			fmt.Fprintf(&b, "%sk%d: v\n", indent, i)
		}
		return b.String()
	}
	service := "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec:\n"
	aliases := service + "  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 9 {
		aliases += fmt.Sprintf("  a%d: &a%d [%s]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), 10))
	}
	for name, c := range map[string]struct {
		stream, want string
		findings     int // at least
	}{
		"names": {service + "  selector:\n" + names("    "), "Service default/x", 1},
		"unknown fields": {
			"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: x}\nspec:\n  hosts: [a]\n" +
				"  bogus:\n" + names("    "), "VirtualService has no field spec.bogus.k", many,
		},
		"flow": {
			service + "  a: " + strings.Repeat("{a: ", 5000) + "1" + strings.Repeat("}", 5000), "levels deep", 1,
		},
		"aliases": {aliases, "excessive aliasing", 1},
	} {
		t.Run(name, func(t *testing.T) {
			objects, found := importer.Read("objects.yaml", []byte(c.stream), "default")
			m := together.Import(objects, importer.Options{Name: "shop", TrustDomain: "cluster.local"})
			if found.Add(m.Found...); len(found) < c.findings {
				t.Errorf("%d findings", len(found))
			}
			says := func(d diag.Diagnostic) bool { return strings.Contains(d.Message, c.want) }
			if !slices.ContainsFunc(found, says) {
				t.Errorf("no finding says %q", c.want)
			}
		})
	}
}

// TestHostileHCL imports HCL that is nested without end, which is refused before it is parsed, and text that is not HCL
// or not a config entry, which is a finding.
func TestHostileHCL(t *testing.T) {
	for text, want := range map[string]string{
		strings.Repeat("a = [", 100_000):                      "levels deep",
		strings.Repeat("a {", 100_000):                        "levels deep",
		"Kind = \"service-defaults\"\nName = [{":              "it is not HCL",
		"a = 1":                                               "neither a config entry",
		"Kind = \"service-router\"\nName = \"a\"\nRoutes = 7": "is a number",
	} {
		objects, found, _ := consul.Read("entries.hcl", []byte(text))
		m := together.Import(objects, importer.Options{Name: "shop", TrustDomain: "cluster.local"})
		found.Add(m.Found...)
		if !slices.ContainsFunc(found, func(d diag.Diagnostic) bool { return strings.Contains(d.Message, want) }) {
			t.Errorf("%.40q: no finding says %q: %v", text, want, found)
		}
	}
}
