package compiler_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/meshc/meshc"

// libraries are those that not every package may depend on, by a short name and the beginning of their import paths.
var libraries = map[string]string{
	"cue":        "cuelang.org/go/",
	"envoy":      "github.com/envoyproxy/",
	"kubernetes": "k8s.io/",
	"cobra":      "github.com/spf13/",
}

// imports has a row for each package of the module. Of the module's packages it may import those in the second column,
// and no others; of [libraries] it may depend on those in the third, directly or through others. What is not written
// is forbidden.
var imports = []struct{ of, may, depend string }{
	// The compiler. The IR knows neither the spec nor what is made of it.
	{"schema", "", ""},
	{"schema/reference", "compiler/similar schema", "cue"},
	{"tools/reference", "schema schema/reference", "cue"},
	{"compiler/source", "", ""},
	{"compiler/secret", "", ""},
	{"compiler/publickey", "", ""},
	{"compiler/limit", "", ""},
	{"compiler/atomicfile", "", ""},
	{"compiler/program", "", ""},
	{"compiler/watch", "", ""},
	{"compiler/diag", "compiler/secret compiler/source", ""},
	{"compiler/same", "", ""},
	{"compiler/similar", "", ""},
	{"compiler/membername", "", ""},
	{"compiler/ir", "compiler/membername compiler/same compiler/similar compiler/source", ""},
	{"compiler/spec", "compiler/secret compiler/source", "cue"},
	{"compiler/load", "compiler/atomicfile compiler/diag compiler/limit compiler/program compiler/similar compiler/source compiler/spec schema", "cue"},
	{"compiler/link", "compiler/diag compiler/ir compiler/membername compiler/publickey compiler/same compiler/similar compiler/source compiler/spec", "cue"},
	{"compiler/try", "compiler/diag compiler/ir compiler/source", ""},
	{"compiler/check", "compiler/diag compiler/ir compiler/series compiler/source compiler/try", ""},
	{"compiler/update", "compiler/ir", ""},
	{"compiler/series", "compiler/ir compiler/source", ""},
	{
		"compiler", "compiler/check compiler/diag compiler/ir compiler/link compiler/load compiler/similar compiler/source compiler/spec",
		"cue",
	},

	// What is rendered. A renderer knows the IR alone, and one kind of output.
	{"render/manifest", "", ""},
	{"render/sink", "render/manifest", ""},
	{"render/oci", "", ""},
	{"render/meshfile", "compiler/ir render/manifest", ""},
	{"render/ratelimit", "compiler/ir render/manifest", ""},
	{"render/observability", "compiler/ir compiler/source render/manifest", ""},
	{"render/live", "compiler/ir", ""},
	{"render/envoy", "compiler/ir compiler/series compiler/source render/live render/manifest", "envoy"},
	{"render/certificates", "compiler/ir render/manifest", "kubernetes"},
	{"render/kubernetes", "compiler/ir compiler/try render/certificates render/manifest render/meshfile", "kubernetes"},
	{"render/flux", "compiler/ir render/kubernetes render/manifest", "kubernetes"},
	{"render/cluster", "compiler/ir render/kubernetes", "kubernetes cobra"}, // cobra through kubectl's own apply
	{"render", `compiler/atomicfile compiler/ir compiler/program compiler/source render/certificates render/envoy render/flux render/kubernetes render/manifest
		render/meshfile render/observability render/ratelimit render/sink`, "envoy kubernetes"},

	// Certificates, the server and the hosts know the IR, and not the spec.
	{"identity/ca", "compiler/atomicfile compiler/publickey compiler/secret", ""},
	{"identity/apiserver", "", "kubernetes"},
	{"identity/svid", "compiler/ir compiler/publickey identity/ca render/envoy", "envoy"},
	{"identity/csr", "compiler/ir identity/apiserver identity/svid", "envoy kubernetes"},
	{"identity/tokenreview", "identity/apiserver", "kubernetes"},
	{
		"identity/enroll", "compiler/ir compiler/publickey compiler/secret identity/ca identity/svid serve/heard",
		"envoy",
	},
	{"serve/heard", "", ""},
	{"serve/lever", "compiler/ir render/envoy serve/heard", "envoy"},
	{"serve/telemetry", "compiler/ir serve/heard", "envoy"},
	{"serve", `compiler/ir compiler/publickey compiler/secret compiler/source compiler/update compiler/watch
		identity/ca identity/enroll identity/svid render/envoy render/live review/config review/graph serve/heard serve/lever serve/telemetry`, "envoy"},
	{"serve/kubernetes", "compiler/ir identity/apiserver identity/ca render/kubernetes render/live render/meshfile serve", "envoy kubernetes"},
	{"host/app", "", ""},
	{"host/redirect", "compiler/ir", ""},
	{
		"host/local", `compiler/atomicfile compiler/ir compiler/program compiler/watch host/app identity/ca identity/svid render/envoy serve`,
		"envoy",
	},

	// Questions asked of a mesh, and other meshes' configuration.
	{"review", "compiler/check compiler/diag compiler/ir compiler/source review/values", ""},
	{
		"review/diff", "compiler/diag compiler/ir compiler/series compiler/source compiler/try compiler/update render review/values",
		"envoy kubernetes",
	},
	{"review/admin", "", ""},
	{"review/bundle", "compiler/secret review/admin", ""},
	{"review/config", "compiler/ir compiler/source render/envoy", "envoy"},
	{
		"review/doctor", `compiler/diag compiler/ir compiler/source render/envoy review/admin review/bundle review/config review/diff review/revision serve serve/telemetry`, "envoy kubernetes",
	},
	{"review/graph/layout", "", ""},
	{"review/graph", "compiler/diag compiler/ir compiler/source review/graph/layout", ""},
	{"review/replay", "compiler/diag compiler/ir compiler/series compiler/try review/logs", ""},
	{"review/logs", "compiler/diag compiler/ir compiler/try", ""},
	{"review/preflight", "compiler/ir identity/apiserver render/kubernetes review/admin serve", "envoy kubernetes"},
	{"review/why", "compiler/diag compiler/ir compiler/series compiler/try review/logs review/replay", ""},
	{"review/revision", "compiler/diag compiler/program compiler/source", ""},
	{"review/values", "compiler/ir compiler/source", ""},
	{"review/verify", "compiler/diag compiler/ir compiler/source compiler/try host/app host/local review/diff review/values", "envoy kubernetes"},
	{"review/state", "compiler compiler/atomicfile compiler/ir compiler/load compiler/program render/meshfile review/revision", "cue"},
	{"importer", "compiler/diag compiler/membername compiler/source compiler/spec", "cue kubernetes"},
	{"importer/ingress", "compiler/spec importer", "cue kubernetes"},
	{"importer/gatewayapi", "compiler/spec importer importer/ingress", "cue kubernetes"},
	{"importer/istio", "compiler/diag compiler/membername compiler/spec importer", "cue kubernetes"},
	{"importer/linkerd", "compiler/diag compiler/membername compiler/spec importer importer/gatewayapi importer/ingress", "cue kubernetes"},
	{"importer/consul", "compiler/diag compiler/membername compiler/source compiler/spec importer importer/gatewayapi importer/ingress", "cue kubernetes"},
	{"importer/together", "importer importer/consul importer/gatewayapi importer/ingress importer/istio importer/kubernetes importer/linkerd", "cue kubernetes"},
	{"importer/kubernetes", "compiler/membername compiler/spec importer importer/ingress", "cue kubernetes"},

	{"cmd/meshc", `compiler compiler/diag compiler/ir compiler/limit compiler/load compiler/publickey compiler/secret compiler/series compiler/similar compiler/source
		compiler/try compiler/watch host/local host/redirect identity/apiserver identity/ca identity/csr identity/enroll
		identity/svid identity/tokenreview importer importer/consul importer/gatewayapi importer/istio importer/kubernetes importer/linkerd importer/together render render/certificates render/cluster render/envoy
		render/kubernetes render/meshfile render/oci render/sink review review/admin review/bundle review/config review/diff review/doctor review/graph review/logs review/preflight review/replay review/state review/revision review/verify review/why
		schema schema/reference serve serve/kubernetes serve/lever serve/telemetry`, "cue envoy kubernetes cobra"},

	// What tests and tools use, and no package above.
	{"review/graph/browsertest", "", ""},
	{"compiler/compiletest", "compiler", "cue"},
	{"compiler/publickey/wrongkey", "", ""},
	{"compiler/secret/planted", "", ""},
	{"compiler/try/trytest", "compiler/ir compiler/try", ""},
	{"render/manifest/manifesttest", "compiler compiler/ir render/manifest", "cue"},
	{"examples/backend", "host/app", ""},
	{"test/e2e", "", ""},
	{"test/conformance", "", ""},
	{"test/plants", "", ""},
	{"tools/bench", "compiler/ir compiler/secret compiler/try identity/ca render/live render/meshfile schema serve", "envoy"},
	{"tools/dataplane", "compiler compiler/ir host/local render/envoy", "cue envoy"},
	{"tools/images", "compiler/atomicfile", ""},
}

// TestImports holds every package of the module to its row of [imports].
func TestImports(t *testing.T) {
	packages := listed(t)
	written := map[string]bool{}
	for _, row := range imports {
		path := module + "/" + row.of
		imported, there := packages[path]
		if !there || written[row.of] {
			t.Errorf("%s is no package of the module, or has two rows", row.of)
			continue
		}
		written[row.of] = true
		may := strings.Fields(row.may)
		for _, name := range imported {
			if own, ours := strings.CutPrefix(name, module+"/"); ours && !slices.Contains(may, own) {
				t.Errorf("%s imports %s, which its row does not allow", row.of, own)
			}
		}
		for _, library := range slices.Sorted(maps.Keys(libraries)) {
			if way := packages.way(path, libraries[library], map[string]bool{}); way != nil &&
				!slices.Contains(strings.Fields(row.depend), library) {
				t.Errorf("%s depends on %s, which its row does not allow: %s", row.of, library,
					strings.Join(way, " → "))
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(packages)) {
		if own, ours := strings.CutPrefix(path, module+"/"); ours && !written[own] {
			t.Errorf("%s has no row that says what it may import", own)
		}
	}
}

// dependencies are packages, by import path.
type dependencies map[string][]string

// way is how a package comes to depend on one whose path begins so: the packages from one to the other; nil when it
// does not.
func (d dependencies) way(from, prefix string, seen map[string]bool) []string {
	if strings.HasPrefix(from, prefix) {
		return []string{from}
	}
	seen[from] = true
	for _, name := range d[from] {
		if seen[name] {
			continue
		}
		if way := d.way(name, prefix, seen); way != nil {
			return append([]string{from}, way...)
		}
	}
	return nil
}

// listed are the packages of the module and all that they depend on.
func listed(t *testing.T) dependencies {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages := dependencies{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p.Imports
	}
}
