package serve

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/meshc/meshc/compiler/ir"
)

// adminHandler is the HTTP API for administrators: status, readiness and metrics. It changes nothing and shows no
// secret.
func (s *Server) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "ok\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		switch {
		case s.proxies.isDraining():
			answer(w, http.StatusServiceUnavailable, "draining\n")
		case s.live.now().mesh == nil:
			answer(w, http.StatusServiceUnavailable, "no mesh is loaded yet\n")
		default:
			answer(w, http.StatusOK, "ok\n")
		}
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		// A client that goes away is no matter of ours.
		_ = json.NewEncoder(w).Encode(s.Status())
	})
	mux.HandleFunc("GET /mesh", func(w http.ResponseWriter, _ *http.Request) {
		m := s.staging.mesh()
		if m == nil {
			answer(w, http.StatusServiceUnavailable, "no mesh is loaded yet\n")
			return
		}
		data, err := ir.Marshal(m)
		if err != nil {
			answer(w, http.StatusInternalServerError, "the mesh has no JSON\n")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(data) // as above
	})
	return mux
}

func answer(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text)) // a client that goes away is no matter of ours
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
