// Package observability renders what Prometheus needs to read the metrics of a mesh's proxies: where they are
// (DIR/observability/prometheus.yml, podmonitor.yaml), and rules about them (rules.yml, prometheusrule.yaml).
//
// Nothing of it is applied with the mesh: the operator of Prometheus may not be installed, and prometheus.yml is for
// one that is not run by it.
package observability

import (
	"path"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/manifest"
)

// Directory has what this package renders.
const Directory = "observability"

// rulesFile is found by prometheus.yml beside itself.
const rulesFile = "rules.yml"

// Job is the value of the label "job" of all proxies, and ServerJob that of meshc serve.
const (
	Job       = "meshc"
	ServerJob = "meshc-serve"
)

// Mesh are the files about a mesh; none where nobody reads metrics from elsewhere.
func Mesh(m *ir.Mesh) ([]manifest.File, error) {
	if m.ReadFrom() == nil {
		return nil, nil
	}
	groups := rules(m)
	docs := map[string]any{
		"prometheus.yml": prometheus(m),
		rulesFile:        ruleFile{groups},
	}
	if inCluster(m) {
		docs["podmonitor.yaml"] = podMonitor(m)
		docs["prometheusrule.yaml"] = prometheusRule(m, groups)
	}
	var out []manifest.File
	for _, name := range []string{"podmonitor.yaml", "prometheus.yml", "prometheusrule.yaml", rulesFile} {
		if docs[name] == nil {
			continue
		}
		f, err := manifest.YAMLFile(path.Join(Directory, name), docs[name])
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	boards, err := dashboards(m)
	return append(out, boards...), err
}

// inCluster reports whether some member runs in pods.
func inCluster(m *ir.Mesh) bool { return len(namespaces(m)) > 0 }
