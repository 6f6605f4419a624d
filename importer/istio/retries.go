package istio

import (
	"slices"
	"strings"

	networkingv1 "istio.io/api/networking/v1alpha3"

	"github.com/meshc/meshc/compiler/spec"
)

// conditions are those of Envoy that the language has.
var conditions = []string{
	"5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "refused-stream",
	"retriable-4xx", "unavailable", "cancelled", "deadline-exceeded", "internal", "resource-exhausted",
}

// maxAttempts is how many retries the language has.
const maxAttempts = 10

func (b *binding) retries(r *networkingv1.HTTPRoute) *spec.Retries {
	d := r.Retries
	if d == nil {
		return nil
	}
	out := &spec.Retries{Attempts: spec.Written(int(min(d.Attempts, maxAttempts)))}
	if d.Attempts <= maxAttempts {
		d.Attempts = 0
	}
	duration(&out.PerTryTimeout, &d.PerTryTimeout)
	if base := d.Backoff; base != nil {
		out.Backoff = &spec.Backoff{}
		duration(&out.Backoff.Base, &d.Backoff)
	}
	var left []string
	out.On, left = retryOn(d.RetryOn)
	d.RetryOn = strings.Join(left, ",")
	if out.On == nil && out.Attempts.Value > 0 {
		out.On = spec.WrittenAll("connect-failure", "refused-stream", "unavailable", "cancelled")
	}
	return out
}

// retryOn are the conditions that the language has, and the others.
func retryOn(list string) (on []spec.Field[string], left []string) {
	for _, name := range strings.FieldsFunc(list, func(c rune) bool { return c == ',' || c == ' ' }) {
		if slices.Contains(conditions, name) {
			on = append(on, spec.Written(name))
		} else {
			left = append(left, name)
		}
	}
	return on, left
}
