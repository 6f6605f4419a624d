package istio

import (
	"maps"
	"slices"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// meshConfig reads Istio's settings of the whole mesh, from the ConfigMap in which its installation keeps them: the
// trust domain, the default retries, and whether calls to unknown hosts go on.
func (m *reader) meshConfig() {
	for _, o := range importer.Of(m.objects, "", "ConfigMap") {
		if o.Metadata.Namespace != rootNamespace || o.Metadata.Name != "istio" {
			continue
		}
		var data struct {
			Mesh string `json:"mesh"`
		}
		if !m.DecodePart(o, "data", &data) {
			continue
		}
		var d struct {
			TrustDomain           string `json:"trustDomain"`
			OutboundTrafficPolicy struct {
				Mode string `json:"mode"`
			} `json:"outboundTrafficPolicy"`
			DefaultHTTPRetryPolicy *struct {
				Attempts      int    `json:"attempts"`
				PerTryTimeout string `json:"perTryTimeout"`
				RetryOn       string `json:"retryOn"`
			} `json:"defaultHttpRetryPolicy"`
		}
		all := map[string]any{}
		if err := yaml.Unmarshal([]byte(data.Mesh), &d); err != nil || yaml.Unmarshal([]byte(data.Mesh), &all) != nil {
			m.Add(o, diag.BadObject, "its mesh is not a mesh configuration in YAML", "data", "mesh")
			continue
		}
		if d.TrustDomain != "" && m.TrustDomain == "cluster.local" {
			m.TrustDomain = d.TrustDomain
			m.Repository.Mesh.TrustDomain = spec.Written(d.TrustDomain)
		}
		if r := d.DefaultHTTPRetryPolicy; r != nil {
			out := &spec.Retries{Attempts: spec.Written(min(max(r.Attempts, 0), maxAttempts))}
			if out.Attempts.Value > 0 {
				if out.On, _ = retryOn(r.RetryOn); out.On == nil {
					out.On = m.Repository.Mesh.Defaults.Retries.On
				}
				if length, err := time.ParseDuration(r.PerTryTimeout); err == nil && length > 0 {
					out.PerTryTimeout = spec.Written(importer.Duration(length))
				}
			}
			m.Repository.Mesh.Defaults.Retries = out
		}
		if d.OutboundTrafficPolicy.Mode != "REGISTRY_ONLY" {
			m.NotCarried(o, "calls to hosts that no ServiceEntry names are refused: outboundTrafficPolicy lets them go on; "+
				"write an external for each", "data", "mesh")
		}
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if !slices.Contains([]string{"trustDomain", "outboundTrafficPolicy", "defaultHttpRetryPolicy"}, name) {
				m.NotCarried(o, "its "+name+" is not read", "data", "mesh")
			}
		}
	}
}
