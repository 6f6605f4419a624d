package serve

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/review/graph"
	"github.com/meshc/meshc/serve/telemetry"
)

// pages draws the graph of the mesh for the live page: of what the mesh declares, and of what proxies told besides.
type pages struct {
	server *Server

	mu      sync.Mutex
	drawn   time.Time
	graph   *graph.Graph
	version string                  // of the graph
	scenes  map[string]*graph.Scene // of the graph, by view
}

const (
	// graphFor is how long a graph is shown before a new one is made.
	graphFor = 2 * time.Second
	// mostScenes is how many scenes are kept.
	mostScenes = 64
)

// drawing is the body of /page/scene.
type drawing struct {
	Version string        `json:"version"`
	Graph   *graph.Graph  `json:"graph"`
	Groups  []graph.Group `json:"groups"`
	Scene   *graph.Scene  `json:"scene"`
}

// register adds the page to the API for administrators.
func (p *pages) register(mux *http.ServeMux) {
	mux.Handle("GET /{$}", onThisHost(http.HandlerFunc(p.page)))
	mux.Handle("GET /page/scene", onThisHost(http.HandlerFunc(p.scene)))
}

func (p *pages) page(w http.ResponseWriter, _ *http.Request) {
	name := "no mesh is loaded yet"
	if m := p.server.staging.mesh(); m != nil {
		name = m.Name
	}
	var body bytes.Buffer
	if err := graph.LivePage(&body, name); err != nil {
		answer(w, http.StatusInternalServerError, "the page cannot be written\n")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", graph.LivePolicy())
	w.Header().Set("X-Frame-Options", "DENY")
	_, _ = w.Write(body.Bytes()) // a client that goes away does not concern meshc
}

// scene answers with the drawing of a view, and without content where the client has that of the same graph.
func (p *pages) scene(w http.ResponseWriter, r *http.Request) {
	m := p.server.staging.mesh()
	if m == nil {
		answer(w, http.StatusServiceUnavailable, "no mesh is loaded yet\n")
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.refresh(m, time.Now()); err != nil {
		answer(w, http.StatusInternalServerError, "the graph has no JSON\n")
		return
	}
	if r.URL.Query().Get("have") == p.version {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	view := r.URL.Query().Get("view")
	scene := p.scenes[view]
	if scene == nil {
		var err error
		if scene, err = p.graph.Scene(view, graph.LiveRoom); err != nil {
			answer(w, http.StatusNotFound, "the mesh has no such view\n")
			return
		}
		if len(p.scenes) >= mostScenes {
			clear(p.scenes)
		}
		p.scenes[view] = scene
	}
	w.Header().Set("Content-Type", "application/json")
	// A client that goes away does not concern meshc.
	_ = json.NewEncoder(w).Encode(drawing{p.version, p.graph, p.graph.Groups(), scene})
}

// refresh makes the graph anew when it is old. It is called with the lock held.
func (p *pages) refresh(m *ir.Mesh, now time.Time) error {
	if p.graph != nil && now.Sub(p.drawn) < graphFor {
		return nil
	}
	g := graph.Of(m)
	report := p.server.Edges(telemetry.Kept)
	var all []graph.Edge
	for i := range report.Edges {
		e := &report.Edges[i]
		if e.Callee == "" { // what the caller's proxy answers itself
			continue
		}
		told := graph.Edge{From: e.Caller, To: e.Callee, Undeclared: !e.Declared, Ports: []string{e.PortName}}
		if told.From == "" {
			told.From = graph.NoCertificate
		}
		if e.PortName == "" {
			told.Ports = []string{strconv.Itoa(int(e.Port))}
		}
		all = append(all, told)
	}
	g.Tell(all)
	data, err := json.Marshal(g)
	if err != nil {
		return err
	}
	if version := ir.Digest(data); version != p.version {
		p.graph, p.version, p.scenes = g, version, map[string]*graph.Scene{}
	}
	p.drawn = now
	return nil
}

// onThisHost lets in who is on this host, or comes through somebody who is (kubectl port-forward), and no page of
// another site that a browser on this host shows: neither by a request of its own, nor by a name that leads here (DNS
// rebinding).
func onThisHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !fromLoopback(r) {
			answer(w, http.StatusForbidden,
				"this is only for clients on the server's own host: forward a port there (kubectl port-forward, ssh -L)\n")
			return
		}
		ownSite(next).ServeHTTP(w, r)
	})
}

// ownSite refuses what a browser asks for another site. Clients that are not browsers on loopback name the host by its
// address or as localhost.
func ownSite(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case fromLoopback(r) && !isLoopback(r.Host):
			answer(w, http.StatusForbidden, "on loopback this host is named localhost or by its address\n")
			return
		case ofAnotherSite(r):
			answer(w, http.StatusForbidden, "a page of another site may not ask for this\n")
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

// fromLoopback reports whether both ends of the connection are on this host.
func fromLoopback(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	for _, text := range []string{local.String(), r.RemoteAddr} {
		at, err := netip.ParseAddrPort(text)
		if err != nil || !at.Addr().Unmap().IsLoopback() {
			return false
		}
	}
	return true
}

// isLoopback reports whether a Host header names this host, with or without a port.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	at, err := netip.ParseAddr(host)
	return err == nil && at.Unmap().IsLoopback()
}

// ofAnotherSite reports whether a browser says that another site's page asks (Fetch Metadata, Origin). That page may
// lead here: then the browser shows the live page and nothing of it to the other.
func ofAnotherSite(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		if err != nil || u.Host != r.Host {
			return true
		}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return false
	}
	return r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document"
}
