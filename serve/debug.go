package serve

import (
	"net/http"
	"net/http/pprof" // #nosec G108 -- no server of meshc uses http.DefaultServeMux

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// registerDebug adds profiles of this process (/debug/pprof/) and all metrics of its runtime (/debug/metrics) to the
// admin address, for requests from this host alone, wherever the address is.
func (s *Server) registerDebug(mux *http.ServeMux) {
	add := func(pattern string, show http.Handler) { mux.Handle(pattern, onLoopback(s.ownSite(show))) }
	add("GET /debug/pprof/", http.HandlerFunc(pprof.Index))
	add("GET /debug/pprof/profile", http.HandlerFunc(pprof.Profile))
	add("GET /debug/pprof/trace", http.HandlerFunc(pprof.Trace))
	runtime := prometheus.NewRegistry()
	runtime.MustRegister(collectors.NewGoCollector(
		collectors.WithGoCollectorRuntimeMetrics(collectors.MetricsAll)))
	add("GET /debug/metrics", promhttp.HandlerFor(runtime, promhttp.HandlerOpts{}))
}

// onLoopback refuses requests that come from elsewhere than this host.
func onLoopback(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !fromLoopback(r) {
			answer(w, http.StatusForbidden, "profiles are shown on this host alone\n")
			return
		}
		next.ServeHTTP(w, r)
	})
}
