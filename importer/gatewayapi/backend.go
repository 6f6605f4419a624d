package gatewayapi

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// destinations returns the backends of a rule, and the percentage of its requests that get a 500 because their
// backend is not valid. It returns nil if all requests do.
func (m *reader) destinations(o *importer.Object, refs []gatewayv1.HTTPBackendRef, at *importer.Service,
	protocol string, where []string,
) ([]*spec.Destination, float64) {
	var out []*spec.Destination
	total, invalid := 0, 0
	for i := range refs {
		ref := importer.Take(&refs[i].BackendRef)
		to := m.destination(o, ref.BackendObjectReference, at, protocol, append(slices.Clone(where), "backendRefs",
			strconv.Itoa(i))...)
		weight := int(valueOr(ref.Weight, 1))
		if to == nil {
			invalid += weight
			continue
		}
		if len(refs) > 1 {
			to.Weight = spec.Written(weight)
		}
		total += weight
		out = append(out, to)
	}
	if total == 0 {
		return nil, 100
	}
	if len(out) == 1 {
		out[0].Weight = spec.Field[int]{}
	}
	return out, math.Round(10000*float64(invalid)/float64(total+invalid)) / 100
}

// destination returns a backend; nil if it does not exist. If the protocol of its port is not known, it is that of
// the route.
func (m *reader) destination(o *importer.Object, ref gatewayv1.BackendObjectReference, at *importer.Service,
	protocol string, where ...string,
) *spec.Destination {
	namespace := string(valueOr(ref.Namespace, gatewayv1.Namespace(o.Metadata.Namespace)))
	if of := valueOr(ref.Group, ""); of != "" && of != "core" || valueOr(ref.Kind, "Service") != "Service" {
		m.NotCarried(o, "a backend is a Service", where...)
		return nil
	}
	if !m.granted(o.Kind, o.Metadata.Namespace, "Service", namespace, string(ref.Name)) {
		m.NotCarried(o, fmt.Sprintf("no ReferenceGrant in %s lets it refer to the Service", namespace),
			append(where, "namespace")...)
		return nil
	}
	return m.Destination(o, namespace, string(ref.Name), int(valueOr(ref.Port, 0)), at, protocol, where...)
}
