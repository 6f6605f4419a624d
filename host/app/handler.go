package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// handler records a request, fails it if it asks for that, calls what it names
// and reports.
func (a *App) handler(p Port) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		report := a.report(p, r)
		a.requests.add(report)
		if upgraded(w, r, report) {
			return
		}
		steer, err := readSteering(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if steer.at != "" && steer.at != a.version {
			steer.delay = 0
		}
		if steer.read {
			_, _ = io.Copy(io.Discard, r.Body) // who stops sending gets an answer too
		}
		if !wait(r.Context(), steer.delay) {
			return
		}
		if steer.stream > 0 {
			stream(r.Context(), w, steer.stream)
			return
		}
		rpc := isRPC(r)
		if status := a.failures.status(steer); status != 0 {
			a.fail(w, status, steer.reset, rpc)
			return
		}
		for _, chain := range steer.via {
			report.Calls = append(report.Calls, a.caller.Call(r.Context(), chain, passOn(r.Header)))
		}
		if rpc {
			a.rpc.ServeHTTP(w, r.WithContext(withReport(r.Context(), report)))
			return
		}
		steer.fill(w.Header())
		w.Header().Set("content-type", "application/json")
		if steer.status != 0 {
			w.WriteHeader(steer.status)
		}
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		_ = e.Encode(report) // the caller may be gone
	})
}

// stream sends server-sent events for that long, of which the last says "end".
func stream(ctx context.Context, w http.ResponseWriter, length time.Duration) {
	w.Header().Set("content-type", "text/event-stream")
	flush := http.NewResponseController(w).Flush
	for end := time.Now().Add(length); time.Now().Before(end); {
		fmt.Fprint(w, "data: more\n\n")
		if flush() != nil || !wait(ctx, 100*time.Millisecond) {
			return
		}
	}
	fmt.Fprint(w, "data: end\n\n")
}

// fail answers with the status, as gRPC does when the request is gRPC.
func (a *App) fail(w http.ResponseWriter, status int, reset, rpc bool) {
	if reset {
		panic(http.ErrAbortHandler) // closes the connection, or resets the stream
	}
	if rpc {
		writeRPCStatus(w, status)
		return
	}
	http.Error(w, a.service+" was told to fail", status)
}

// passOn are the headers that a call takes over from the request it serves, so
// that one request can be followed through the mesh.
func passOn(h http.Header) http.Header {
	out := http.Header{}
	for _, name := range []string{"x-request-id", "traceparent", "tracestate", "end-user"} {
		if v := h.Get(name); v != "" {
			out.Set(name, v)
		}
	}
	return out
}

func isRPC(r *http.Request) bool {
	return r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("content-type"), "application/grpc")
}
