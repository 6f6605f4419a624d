package istio

import (
	"slices"

	networkingv1 "istio.io/api/networking/v1alpha3"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// inject is the label, and of older versions the annotation, of pods that says whether they get a proxy.
const inject = "sidecar.istio.io/inject"

// withoutProxy reports whether Istio gives the pods of a workload no proxy.
func (m *reader) withoutProxy(w *importer.Workload) bool {
	if said := w.Labels[inject]; said != "" {
		return said == "false"
	}
	if said := w.Annotations[inject]; said != "" {
		return said == "false"
	}
	for _, o := range importer.Of(m.objects, "", "Namespace") {
		if o.Metadata.Name == w.Namespace && o.Metadata.Labels["istio-injection"] == "disabled" {
			return true
		}
	}
	return false
}

// withoutProxies makes externals of the services whose pods get no proxy from Istio: members call them without mutual
// TLS, and they have no identity.
func (m *reader) withoutProxies() {
	for _, s := range m.Sorted() {
		if len(s.Workloads) == 0 || slices.ContainsFunc(s.Workloads, func(w *importer.Workload) bool {
			return !m.withoutProxy(w)
		}) {
			continue
		}
		m.outside = append(m.outside, s.Workloads...)
		m.MakeExternal(s, "Istio gives its pods no proxy ("+inject+")")
	}
}

// notMember reports whether a workload that no Service selects stays out: one of Istio or of the cluster itself, a
// gateway of Istio's, and one that gets no proxy.
func (m *reader) notMember(w *importer.Workload) bool {
	if slices.Contains([]string{rootNamespace, "kube-system", "kube-public", "kube-node-lease"}, w.Namespace) {
		return true
	}
	if slices.Contains(m.outside, w) {
		return true // which was told
	}
	for _, o := range m.objectsOf(networking, "Gateway") {
		var d networkingv1.Gateway
		if (&importer.Mesh{}).Decode(o, "spec", &d) && len(d.Selector) > 0 &&
			labels.SelectorFromSet(d.Selector).Matches(labels.Set(w.Labels)) {
			return true
		}
	}
	if m.withoutProxy(w) {
		m.NotCarried(w.Object, "Istio gives its pods no proxy ("+inject+"), and so it is left out")
		return true
	}
	return false
}

// upgradesAndProbes writes what each service of Istio takes without configuration: websockets at each port of HTTP/1.1,
// and the probes of the kubelet.
func (m *reader) upgradesAndProbes(permissive map[string]bool) {
	for _, s := range m.Sorted() {
		own := map[int]importer.OwnPort{}
		for _, p := range s.Spec.Ports {
			kind := importer.Strict
			switch {
			case permissive[s.Name]:
				kind = importer.Ruled
			case p.Protocol.Value == "http":
				kind = importer.StrictHTTP
			}
			own[p.Target.Or(p.Port.Value)] = kind
			if p.Protocol.Value == "http" {
				p.Upgrades = spec.WrittenAll("websocket")
			}
		}
		m.AddProbes(s, own)
	}
}
