package envoy

import (
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/meshc/meshc/compiler/ir"
)

// keptStats are the ends of the names of those of Envoy's own statistics that a proxy keeps: retries, ejections,
// circuit breakers, open connections, failed handshakes, denials. Envoy has some 300 for each cluster and listener, of
// which nobody reads the rest.
var keptStats = []string{
	".upstream_cx_active", ".upstream_cx_total", ".upstream_cx_connect_fail", ".upstream_cx_overflow",
	".upstream_cx_idle_timeout", ".upstream_cx_max_duration_reached",
	".upstream_rq_active", ".upstream_rq_total", ".upstream_rq_pending_overflow", ".upstream_rq_timeout",
	".upstream_rq_per_try_timeout",
	".upstream_rq_retry", ".upstream_rq_retry_success", ".upstream_rq_retry_overflow",
	".upstream_rq_retry_limit_exceeded",
	".membership_healthy", ".membership_total", ".outlier_detection.ejections_active",
	".outlier_detection.ejections_enforced_total",
	".circuit_breakers.default.cx_open", ".circuit_breakers.default.rq_open",
	".circuit_breakers.default.rq_pending_open", ".circuit_breakers.default.rq_retry_open",
	".downstream_cx_active", ".downstream_cx_total", ".downstream_rq_active", ".downstream_rq_total", ".rbac.denied",
	".ssl.connection_error", ".ssl.fail_verify_no_cert", ".ssl.fail_verify_error", ".ssl.fail_verify_san",
}

// keptPrefixes are the beginnings of the names of those that a proxy keeps wholly: the mesh's own, and those about the
// proxy.
var keptPrefixes = []string{
	metricsPrefix + ".", "server.", "control_plane.", "cluster_manager.", "listener_manager.", tapStats,
}

// statsConfig is which statistics a proxy keeps. It stands in the bootstrap: what a proxy keeps does not change while
// it runs.
func statsConfig(buckets []ir.Duration) *metricsv3.StatsConfig {
	var bounds []float64 // of durations, in milliseconds
	for _, b := range buckets {
		bounds = append(bounds, b.Milliseconds())
	}
	var kept []*matcherv3.StringMatcher
	for _, p := range keptPrefixes {
		kept = append(kept, hasPrefix(p))
	}
	for _, s := range keptStats {
		kept = append(kept, &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Suffix{Suffix: s}})
	}
	return &metricsv3.StatsConfig{
		StatsMatcher: &metricsv3.StatsMatcher{StatsMatcher: &metricsv3.StatsMatcher_InclusionList{
			InclusionList: &matcherv3.ListStringMatcher{Patterns: kept},
		}},
		HistogramBucketSettings: []*metricsv3.HistogramBucketSettings{{
			Match:   hasPrefix(metricsPrefix + "."),
			Buckets: bounds,
		}},
	}
}
