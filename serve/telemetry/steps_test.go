package telemetry

import (
	"testing"
	"time"
)

// TestStepsAddUp has a proxy report twice, a minute apart, and wants the requests, errors and durations of each in a
// step of its own, and all steps together to be what the window tells.
func TestStepsAddUp(t *testing.T) {
	s := NewStore(Memory)
	p, later := s.Proxy(interval), noon.Add(time.Minute)
	l := edge("http.response.status_class", "2xx")
	report(t, p, ofFrontend, noon, metric{name: "http.client.requests", labels: l, count: 90},
		metric{name: "http.client.request.duration", labels: edge(), durations: []float64{2, 2, 2}})
	failed := edge("http.response.status_class", "5xx")
	report(t, p, ofFrontend, later, metric{name: "http.client.requests", labels: l, count: 10},
		metric{name: "http.client.requests", labels: failed, count: 40},
		metric{name: "http.client.request.duration", labels: edge(), durations: []float64{400, 400}})
	ends := s.EndsByStep(Kept, later)
	if len(ends) != 1 {
		t.Fatalf("%d ends", len(ends))
	}
	var requests, errors, samples uint64
	slow := map[bool]uint64{}
	for i, step := range ends[0].Steps {
		requests, errors, samples = requests+step.Requests, errors+step.Errors, samples+step.Samples
		if step.Samples > 0 {
			slow[step.P50 > 300] += step.Samples
		}
		if i > 0 && step.At.Sub(ends[0].Steps[i-1].At) != Step {
			t.Errorf("step %d is at %v, after %v", i, step.At, ends[0].Steps[i-1].At)
		}
	}
	if requests != 140 || errors != 40 || samples != 5 || slow[false] != 3 || slow[true] != 2 {
		t.Errorf("%d requests, %d errors, %d durations, %v slow", requests, errors, samples, slow)
	}
	if s.Ends(Kept, later)[0].Steps != nil {
		t.Error("steps are told that nobody asked for")
	}
}
