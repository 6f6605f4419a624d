package serve

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/review/config"
	"github.com/meshc/meshc/serve/heard"
)

// NotConnected begins the answer to a question about a proxy that is not connected.
const NotConnected = "no proxy "

// Configuration is what a connected proxy is served at the moment. It is the body of /config?node=NODE.
type Configuration struct {
	Node string `json:"node"`
	// Mesh is the name of the mesh, and Hash that of the mesh that was loaded last.
	Mesh string `json:"mesh"`
	Hash string `json:"hash"`
	// Placed says that the mesh has other addresses and ports than its spec ([Config]).
	Placed bool `json:"placed,omitempty"`
	// Ahead is how many steps follow the one that is served, each once the proxy has taken the one before.
	Ahead int `json:"ahead,omitempty"`
	// Options are what the proxy's configuration was rendered from, besides the mesh.
	Options envoy.Options `json:"options"`
	// Resources are sorted by type and name.
	Resources config.Set `json:"resources"`
}

// Configuration returns what a node is served; nil when no proxy of that node id is connected.
func (s *Server) Configuration(node string) (*Configuration, error) {
	report := s.staging.status(time.Now())
	c, resources := s.proxies.served(node)
	if c == nil {
		return nil, nil
	}
	c.Mesh, c.Hash, c.Placed = report.Mesh, report.Hash, s.config.Placed
	for _, of := range resources {
		for _, packed := range of.resources {
			m, err := packed.content.UnmarshalNew()
			if err != nil {
				return nil, err
			}
			r, err := config.ResourceOf(of.kind, m)
			if err != nil {
				return nil, err
			}
			c.Resources = append(c.Resources, r)
		}
	}
	return c, nil
}

// servedType are resources of one type.
type servedType struct {
	kind      string
	resources []*packed
}

// served is what a node is served, without the resources, which are returned besides: they never change, so they are
// written without the lock.
func (p *proxies) served(node string) (*Configuration, []servedType) {
	n := p.node(node)
	if n == nil {
		return nil, nil
	}
	n.making.Lock() // what it was rendered from is to be that of what is served
	defer n.making.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.built == nil {
		return nil, nil
	}
	c := &Configuration{Node: node, Ahead: len(n.stages), Resources: config.Set{}}
	if n.of != nil {
		c.Options = n.of.Options
	}
	var out []servedType
	for _, url := range typeURLs {
		of := servedType{kind: short(url)}
		resources, _ := n.present(url)
		for _, name := range sortedKeys(resources) {
			of.resources = append(of.resources, resources[name])
		}
		out = append(out, of)
	}
	return c, out
}

// configuration answers to GET /config?node=NODE.
func (s *Server) configuration(w http.ResponseWriter, r *http.Request) {
	node := r.URL.Query().Get("node")
	c, err := s.Configuration(node)
	switch {
	case err != nil:
		answer(w, http.StatusInternalServerError, "a resource has no JSON\n")
	case c == nil:
		answer(w, http.StatusNotFound, NotConnected+heard.Line(node, 200)+" is connected\n")
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(c) // a client that goes away does not concern meshc
	}
}
