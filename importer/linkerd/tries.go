package linkerd

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// tries are what the annotations of a Service or a route say of timeouts and retries.
type tries struct {
	timeout, idle string
	retries       *spec.Retries
}

// said reports whether they say something.
func (t *tries) said() bool { return t.timeout != "" || t.idle != "" || t.retries != nil }

// give writes what is said.
func (t *tries) give(timeout, idle *spec.Field[string], retries **spec.Retries) {
	if t.timeout != "" {
		*timeout = spec.Written(t.timeout)
	}
	if t.idle != "" {
		*idle = spec.Written(t.idle)
	}
	if t.retries != nil {
		*retries = t.retries
	}
}

// maxAttempts is the most retries that the language has.
const maxAttempts = 10

// tries reads the annotations of an object. Those of a route take the place of all of its Service's.
func (m *reader) tries(o *importer.Object, route bool) *tries {
	a := o.Metadata.Annotations
	length := func(name string) string {
		text := a[name]
		d, err := time.ParseDuration(text)
		if text == "" || err == nil && d > 0 {
			return map[bool]string{true: importer.Duration(d)}[text != ""]
		}
		m.NotCarried(o, strconv.Quote(text)+" is not a length of time", "metadata", "annotations", name)
		return ""
	}
	out := &tries{timeout: length("timeout.linkerd.io/request"), idle: length("timeout.linkerd.io/idle")}
	if a["timeout.linkerd.io/response"] != "" {
		m.NotCarried(o, "the language bounds a whole request, and each of its tries", "metadata", "annotations",
			"timeout.linkerd.io/response")
	}
	on, left := conditions(a["retry.linkerd.io/http"], a["retry.linkerd.io/grpc"])
	if len(left) > 0 {
		m.NotCarried(o, "the language retries 5xx and gateway-error, and statuses of gRPC, and not "+strings.Join(left, ", "),
			"metadata", "annotations", "retry.linkerd.io/http")
	}
	if len(on) == 0 {
		return out
	}
	limit := 1
	if text := a["retry.linkerd.io/limit"]; text != "" {
		n, err := strconv.Atoi(text)
		if limit = max(n, 0); err != nil || n < 0 || n > maxAttempts {
			limit = min(limit, maxAttempts)
			m.NotCarried(o, "it is a number of retries up to 10", "metadata", "annotations", "retry.linkerd.io/limit")
		}
	}
	out.retries = &spec.Retries{Attempts: spec.Written(limit), On: spec.WrittenAll(on...)}
	if each := length("retry.linkerd.io/timeout"); each != "" {
		out.retries.PerTryTimeout = spec.Written(each)
	} else if route {
		out.retries.PerTryTimeout = spec.Written(spec.NoLimit) // and not that of the Service
	}
	return out
}

// conditions are what retries are for, and what is asked for besides.
func conditions(http, grpc string) (on, left []string) {
	for _, text := range strings.Split(http, ",") {
		switch text = strings.TrimSpace(text); text {
		case "":
		case "5xx", "500-599":
			on = append(on, "5xx")
		case "gateway-error", "502-504":
			on = append(on, "gateway-error")
		default:
			left = append(left, text)
		}
	}
	for _, text := range strings.Split(grpc, ",") {
		switch text = strings.TrimSpace(text); {
		case text == "":
		case slices.Contains([]string{"cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"}, text):
			on = append(on, text)
		default:
			left = append(left, text)
		}
	}
	return on, left
}

// failureAccrual reads when instances are left alone.
func (m *reader) failureAccrual(s *importer.Service) {
	const name = "balancer.linkerd.io/failure-accrual"
	a := s.Object.Metadata.Annotations
	switch a[name] {
	case "":
		return
	case "consecutive":
	default:
		m.NotCarried(s.Object, "it is consecutive or nothing here", "metadata", "annotations", name)
		return
	}
	out := &spec.Outliers{
		Consecutive5xx: spec.Written(7), EjectFor: spec.Written("1s"), MaxEjected: spec.Written(100.0),
	}
	if n, err := strconv.Atoi(a[name+"-consecutive-max-failures"]); err == nil && n > 0 {
		out.Consecutive5xx = spec.Written(n)
	}
	if d, err := time.ParseDuration(a[name+"-consecutive-min-penalty"]); err == nil && d > 0 {
		out.EjectFor = spec.Written(importer.Duration(d))
	}
	for _, rest := range []string{"max-penalty", "jitter-ratio"} {
		if at := name + "-consecutive-" + rest; a[at] != "" {
			m.NotCarried(s.Object, "the time grows with each ejection, up to 300s", "metadata",
				"annotations", at)
		}
	}
	s.Spec.Outliers = out
}
