package serve

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/serve/heard"
	"github.com/meshc/meshc/serve/telemetry"
)

// adminHandler is the HTTP API for administrators: status, readiness, metrics and the live page. It changes nothing and
// shows no secret.
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
	mux.Handle("GET /metrics", s.ownSite(promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{})))
	(&pages{server: s}).register(mux)
	if s.config.Debug {
		s.registerDebug(mux)
	}
	about := func(pattern string, show http.HandlerFunc) { mux.Handle(pattern, s.ownSite(show)) }
	about("GET /status", s.tellStatus)
	about("GET /edges", s.tellEdges)
	about("GET /config", s.configuration)
	about("GET /recent", s.tellRecent)
	about("GET /mesh", func(w http.ResponseWriter, r *http.Request) {
		m := s.staging.mesh()
		if hash := r.URL.Query().Get("hash"); hash != "" {
			m = s.staging.earlier.named(hash)
		}
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
		_, _ = w.Write(data) // a client that goes away does not concern meshc
	})
	return mux
}

// tellStatus answers with the [Status].
func (s *Server) tellStatus(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	// A client that goes away does not concern meshc.
	_ = json.NewEncoder(w).Encode(s.Status())
}

// tellEdges answers with what proxies told of the edges.
func (s *Server) tellEdges(w http.ResponseWriter, r *http.Request) {
	window, err := windowOf(r.URL.Query().Get("window"))
	switch {
	case err != nil:
		answer(w, http.StatusBadRequest, err.Error()+"\n")
	case s.staging.mesh() == nil:
		answer(w, http.StatusServiceUnavailable, "no mesh is loaded yet\n")
	default:
		report := s.Edges
		if r.URL.Query().Get("steps") == "true" {
			report = s.EdgesByStep
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(report(window)) // as above
	}
}

// windowOf is the window of time that is asked for, of a minute where none is.
func windowOf(text string) (time.Duration, error) {
	if text == "" {
		return time.Minute, nil
	}
	window, err := time.ParseDuration(text)
	if err != nil || window < telemetry.Shortest || window > telemetry.Kept {
		return 0, fmt.Errorf("window %q is not a duration from %v to %v", heard.Line(text, 100), telemetry.Shortest,
			telemetry.Kept)
	}
	return window, nil
}

func answer(w http.ResponseWriter, code int, text string) {
	http.Error(w, strings.TrimSuffix(text, "\n"), code) // which is text, and ends the line
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
