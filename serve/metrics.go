package serve

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/meshc/meshc/serve/telemetry"
)

// metrics are what Prometheus reads. No label names a proxy: there may be many,
// and they come and go.
type metrics struct {
	registry  *prometheus.Registry
	connected prometheus.Gauge
	stale     prometheus.Gauge
	info      *prometheus.GaugeVec
	pushes    prometheus.Counter
	refused   prometheus.Counter
	limited   prometheus.Counter
	limitedConnections, limitedHolders,
	omittedLines, reports prometheus.Counter
	operatorMetrics
	acks     *prometheus.CounterVec
	nacks    *prometheus.CounterVec
	reloads  *prometheus.CounterVec
	pushTime prometheus.Histogram
	// propagation is the time from a change to its acknowledgement.
	propagation *prometheus.HistogramVec
}

func newMetrics() *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "meshc", Name: name, Help: help})
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "meshc", Name: name, Help: help}, labels)
	}
	m := &metrics{
		registry:        prometheus.NewRegistry(),
		operatorMetrics: newOperatorMetrics(),
		connected:       gauge("connected_proxies", "Proxies that are connected."),
		stale:           gauge("mesh_stale", "1 while the mesh on disk is wrong and the last good one is served."),
		info: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "meshc", Name: "mesh_info",
			Help: "1 for the mesh that is served, by its hash.",
		}, []string{"hash"}),
		pushes: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "meshc", Name: "pushes_total",
			Help: "Changes of what a proxy is served.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "meshc",
			Name:      "streams_refused_total", Help: "Streams whose certificate was not that of their node.",
		}),
		limited: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "meshc",
			Name:      "streams_limited_total", Help: "Streams that were cut off, as they asked for too much.",
		}),
		limitedConnections: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "meshc",
			Name:      "connections_limited_total",
			Help:      "Connections that were cut off, or beyond what an identity may have.",
		}),
		limitedHolders: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "meshc",
			Name:      "holders_limited_total",
			Help:      "Holders of certificates that were forgotten, as an identity had more than it may have.",
		}),
		omittedLines: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "meshc",
			Name:      "log_lines_omitted_total",
			Help:      "Log lines that were not written, as there were too many about an identity.",
		}),
		reports: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "meshc", Name: "reports_total",
			Help: "Messages by which proxies told of their edges.",
		}),
		acks:    counter("acks_total", "Answers that took what was sent, by type.", "type"),
		nacks:   counter("nacks_total", "Answers that refused what was sent, by type.", "type"),
		reloads: counter("reloads_total", "Meshes that were loaded, or refused, by result.", "result"),
		pushTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "meshc", Name: "push_seconds",
			Help:    "Time to render what a proxy is served and hand it to its stream.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		propagation: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "meshc", Name: "propagation_seconds",
			Help:    "Time from a change until a proxy has acknowledged it, by type.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
		}, []string{"type"}),
	}
	m.registry.MustRegister(m.connected, m.stale, m.info, m.pushes, m.refused, m.limited,
		m.limitedConnections, m.limitedHolders, m.omittedLines, m.reports, m.acks, m.nacks, m.reloads, m.pushTime,
		m.propagation, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.register(m.registry)
	return m
}

// stand adds those of how far proxies are, and of how long ago each source told something.
func (m *metrics) stand(of func(time.Time) standing, sources func(time.Time) []SourceStatus) {
	m.registry.MustRegister(&standingMetrics{of, sources})
}

// standingMetrics are counted when they are read, all of them from one count.
type standingMetrics struct {
	standing func(time.Time) standing
	sources  func(time.Time) []SourceStatus
}

var (
	behindMetric = prometheus.NewDesc("meshc_proxies_behind",
		"Connected proxies that have not answered what they were sent.", nil, nil)
	refusingMetric = prometheus.NewDesc("meshc_proxies_refusing", "Connected proxies that have refused a resource.",
		nil, nil)
	oldestMetric = prometheus.NewDesc("meshc_unacknowledged_seconds",
		"Age of the oldest change that a connected proxy has not acknowledged, by type.", []string{"type"}, nil)
	sourceAgeMetric = prometheus.NewDesc("meshc_source_age_seconds", "Time since the last message of a source.",
		[]string{"source"}, nil)
	sourceWithinMetric = prometheus.NewDesc("meshc_source_within_seconds",
		"Longest time between two messages of a source that is well, where it does not tell changes only.",
		[]string{"source"}, nil)
)

// Describe is for the registry.
func (s *standingMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		behindMetric, refusingMetric, oldestMetric, sourceAgeMetric, sourceWithinMetric,
	} {
		out <- d
	}
}

// Collect counts.
func (s *standingMetrics) Collect(out chan<- prometheus.Metric) {
	gauge := func(of *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(of, prometheus.GaugeValue, value, labels...)
	}
	now := time.Now()
	at := s.standing(now)
	gauge(behindMetric, float64(at.behind))
	gauge(refusingMetric, float64(at.refusing))
	for _, url := range typeURLs {
		gauge(oldestMetric, at.oldest[url].Seconds(), short(url))
	}
	for _, source := range s.sources(now) {
		gauge(sourceAgeMetric, source.Age, source.Name)
		if source.Within > 0 {
			gauge(sourceWithinMetric, source.Within, source.Name)
		}
	}
}

// follow adds those of what proxies have told of their edges.
func (m *metrics) follow(s *telemetry.Store) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "meshc", Name: "telemetry_bytes",
			Help: "Memory for what proxies told of their edges in the last 15 minutes.",
		}, func() float64 { return float64(s.Used()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: "meshc", Name: "telemetry_omitted_total",
			Help: "Metrics that proxies told and that were not kept: of edges of others, or beyond a bound.",
		}, func() float64 { return float64(s.Omitted()) }),
	)
}

func (m *metrics) mesh(hash string) {
	m.info.Reset()
	m.info.WithLabelValues(hash).Set(1)
}
