package serve

import "github.com/prometheus/client_golang/prometheus"

// tapMetrics are what Prometheus reads of taps.
type tapMetrics struct {
	taps                                         prometheus.Gauge
	tapsBegun, tapsRefused, tapLines, tapOmitted prometheus.Counter
	pageRefused                                  prometheus.Counter
}

func newTapMetrics() tapMetrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "meshc", Name: name, Help: help})
	}
	return tapMetrics{
		taps: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "meshc", Name: "taps", Help: "Operators who look at requests now.",
		}),
		tapsBegun:   counter("taps_begun_total", "Taps that operators began."),
		tapsRefused: counter("taps_refused_total", "Taps of those who are no operators."),
		pageRefused: counter("operators_refused_total", "Requests for the live page of those who are no operators."),
		tapLines:    counter("tap_lines_total", "Requests that operators were shown."),
		tapOmitted: counter("tap_lines_omitted_total",
			"Requests that operators were not shown, as there were too many."),
	}
}

func (m *tapMetrics) register(r *prometheus.Registry) {
	r.MustRegister(m.taps, m.tapsBegun, m.tapsRefused, m.tapLines, m.tapOmitted, m.pageRefused)
}
