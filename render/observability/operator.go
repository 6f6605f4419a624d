package observability

import (
	"slices"

	"github.com/meshc/meshc/compiler/ir"
)

// object is one of Kubernetes.
type object struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   metadata `json:"metadata"`
	Spec       any      `json:"spec"`
}

type metadata struct {
	Name      string            `json:"name"`
	Namespace string            `json:"namespace"`
	Labels    map[string]string `json:"labels"`
}

// objectOf is one for Prometheus' operator.
func objectOf(m *ir.Mesh, kind string, spec any) object {
	return object{
		APIVersion: "monitoring.coreos.com/v1", Kind: kind, Spec: spec, Metadata: metadataOf(m, "meshc-"+m.Name),
	}
}

// metadataOf is that of an object in the namespace of the scraper, else in that of the mesh's control plane.
func metadataOf(m *ir.Mesh, name string) metadata {
	namespace := m.ReadFrom().Namespace
	if namespace == "" {
		namespace = m.SystemNamespace()
	}
	return metadata{Name: name, Namespace: namespace, Labels: map[string]string{
		"app.kubernetes.io/managed-by": "meshc", "app.kubernetes.io/part-of": m.Name,
	}}
}

// podMonitor has the operator's Prometheus read the proxies of pods, whatever else runs in them, and meshc serve.
func podMonitor(m *ir.Mesh) object {
	read := namespaces(m)
	endpoints := []any{podEndpoint(m, ir.MetricsPortName, operatorRelabelings(ofJob(Job, podLabels(m))))}
	endpoints = append(endpoints, scrapedEndpoints(m)...)
	if serverInCluster(m) {
		read = append(read, m.SystemNamespace())
		endpoints = append(endpoints,
			podEndpoint(m, ir.ServerMetricsPortName, operatorRelabelings(ofJob(ServerJob, serverPodLabels(m)))))
	}
	slices.Sort(read)
	return objectOf(m, "PodMonitor", map[string]any{
		"namespaceSelector":   map[string]any{"matchNames": slices.Compact(read)},
		"selector":            map[string]any{},
		"podMetricsEndpoints": endpoints,
	})
}

// podEndpoint has the scraper of the mesh read the port of that name.
func podEndpoint(m *ir.Mesh, port string, relabelings []map[string]any) map[string]any {
	endpoint := map[string]any{"port": port, "path": "/metrics", "relabelings": relabelings}
	if !m.ReadFrom().Identity.IsZero() {
		endpoint["scheme"] = "https"
		endpoint["tlsConfig"] = map[string]any{
			"cert":      map[string]any{"secret": map[string]string{"name": tlsSecret, "key": "tls.crt"}},
			"keySecret": map[string]string{"name": tlsSecret, "key": "tls.key"}, "insecureSkipVerify": true,
		}
	}
	return endpoint
}

// tlsSecret has the certificate of the scraper, beside the PodMonitor.
const tlsSecret = "mesh-scraper" // #nosec G101 -- the name of a Secret

// ofJob are the labels of pods with that of their job. The port, which the first one chooses, is chosen by the
// operator's endpoint itself.
func ofJob(job string, all []relabel) []relabel {
	return append([]relabel{{Target: "job", Replacement: job}}, all[1:]...)
}

// operatorRelabelings are those of pods in the operator's spelling.
func operatorRelabelings(all []relabel) []map[string]any {
	var out []map[string]any
	for _, r := range all {
		one := map[string]any{}
		if r.Target != "" {
			one["targetLabel"] = r.Target
		}
		if r.Action != "" {
			one["action"] = r.Action
		}
		if r.Sources != nil {
			one["sourceLabels"] = r.Sources
		}
		if r.Regex != "" {
			one["regex"] = r.Regex
		}
		if r.Replacement != "" {
			one["replacement"] = r.Replacement
		}
		out = append(out, one)
	}
	return out
}

// prometheusRule are the rules for the operator's Prometheus.
func prometheusRule(m *ir.Mesh, groups []group) object {
	return objectOf(m, "PrometheusRule", ruleFile{groups})
}
