package serve

import "github.com/prometheus/client_golang/prometheus"

// operatorMetrics are what Prometheus reads of what operators do.
type operatorMetrics struct {
	taps                                         prometheus.Gauge
	tapsBegun, tapsRefused, tapLines, tapOmitted prometheus.Counter
	pageRefused                                  prometheus.Counter

	levers                      prometheus.Gauge
	leversPulled, leversRefused prometheus.Counter
}

func newOperatorMetrics() operatorMetrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "meshc", Name: name, Help: help})
	}
	return operatorMetrics{
		taps: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "meshc", Name: "taps", Help: "Operators who look at requests now.",
		}),
		tapsBegun:   counter("taps_begun_total", "Taps that operators began."),
		tapsRefused: counter("taps_refused_total", "Taps of those who are no operators."),
		pageRefused: counter("operators_refused_total", "Requests for the live page of those who are no operators."),
		tapLines:    counter("tap_lines_total", "Requests that operators were shown."),
		tapOmitted: counter("tap_lines_omitted_total",
			"Requests that operators were not shown, as there were too many."),
		levers: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "meshc", Name: "levers", Help: "Levers that are in force (meshc lever).",
		}),
		leversPulled:  counter("levers_pulled_total", "Levers that operators pulled."),
		leversRefused: counter("levers_refused_total", "Levers that were refused, as the user is not an operator."),
	}
}

func (m *operatorMetrics) register(r *prometheus.Registry) {
	r.MustRegister(m.taps, m.tapsBegun, m.tapsRefused, m.tapLines, m.tapOmitted, m.pageRefused,
		m.levers, m.leversPulled, m.leversRefused)
}
