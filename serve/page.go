package serve

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
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
	mux.Handle("GET /{$}", p.server.onThisHost(http.HandlerFunc(p.page)))
	mux.Handle("GET /page/scene", p.server.onThisHost(http.HandlerFunc(p.scene)))
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
func (s *Server) onThisHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !fromLoopback(r) {
			answer(w, http.StatusForbidden,
				"this is only for clients on the server's own host: forward a port there (kubectl port-forward, ssh -L), "+
					"or give operators an address of theirs (meshc serve --operators-listen)\n")
			return
		}
		s.ownSite(next).ServeHTTP(w, r)
	})
}
