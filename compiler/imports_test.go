package compiler_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestImports holds who may import whom: packages that must not see each other,
// directly or through others.
func TestImports(t *testing.T) {
	const (
		module     = "github.com/meshc/meshc/"
		cue        = "cuelang.org/go/"
		envoy      = "github.com/envoyproxy/"
		kubernetes = "k8s.io/"
	)
	for _, rule := range []struct {
		pkg       string
		forbidden []string
	}{
		{"compiler/source", []string{module + "compiler/diag", module + "compiler/ir", cue, envoy, kubernetes}},
		{"compiler/secret", []string{module + "compiler/diag", module + "compiler/spec", cue, envoy, kubernetes}},
		{"compiler/diag", []string{module + "compiler/ir", cue, envoy, kubernetes}},
		{"compiler/ir", []string{module + "compiler/spec", module + "compiler/diag", module + "render", module + "serve", cue, envoy, kubernetes}},
		{"compiler/spec", []string{module + "compiler/ir", module + "render", envoy, kubernetes}},
		{"compiler/load", []string{module + "compiler/ir", module + "compiler/link", module + "render", envoy, kubernetes}},
		{"compiler/link", []string{module + "compiler/load", module + "compiler/check", module + "render", envoy, kubernetes}},
		{"compiler/check", []string{module + "compiler/spec", module + "compiler/load", module + "compiler/link", module + "render", cue, envoy, kubernetes}},
		{"compiler", []string{module + "render", module + "serve", envoy, kubernetes}},
		{"render/manifest", []string{module + "compiler", module + "serve", cue, envoy}},
		{"render/sink", []string{module + "compiler", module + "serve", cue, envoy, kubernetes}},
		{"render/envoy", []string{module + "compiler/spec", module + "compiler/load", module + "serve", cue, kubernetes}},
		{"render/kubernetes", []string{module + "compiler/spec", module + "compiler/load", module + "serve", cue, envoy}},
		{"render/certificates", []string{module + "compiler/spec", module + "compiler/load", module + "serve", cue, envoy}},
		{"render/flux", []string{module + "compiler/spec", module + "compiler/load", module + "serve", cue, envoy}},
		{"render", []string{module + "compiler/spec", module + "compiler/load", module + "serve", cue}},
		{"identity/svid", []string{module + "compiler/spec", module + "compiler/load", module + "compiler/link", cue, kubernetes}},
		{"identity/ca", []string{module + "compiler/spec", module + "compiler/load", module + "render", cue, envoy, kubernetes}},
		{"identity/csr", []string{module + "compiler/spec", module + "compiler/load", module + "compiler/link", cue}},
		{"importer", []string{module + "compiler/link", module + "compiler/load", module + "render", module + "serve", envoy}},
		{"identity/enroll", []string{module + "compiler/spec", module + "compiler/load", module + "compiler/link", cue, kubernetes}},
		{"serve", []string{module + "compiler/spec", module + "compiler/load", module + "compiler/link", cue, kubernetes}},
	} {
		out, err := exec.Command("go", "list", "-deps", module+rule.pkg).CombinedOutput()
		if err != nil {
			t.Fatalf("go list %s: %v\n%s", rule.pkg, err, out)
		}
		for _, dep := range strings.Fields(string(out)) {
			for _, f := range rule.forbidden {
				if dep == f || dep == strings.TrimSuffix(f, "/") || strings.HasPrefix(dep, strings.TrimSuffix(f, "/")+"/") {
					t.Errorf("%s imports %s, directly or through another", rule.pkg, dep)
				}
			}
		}
	}
}
