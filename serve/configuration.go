package serve

import (
	"encoding/json"
	"net/http"

	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/render/envoy"
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
	Resources []ServedResource `json:"resources"`
}

// ServedResource is one xDS resource.
type ServedResource struct {
	Type string `json:"type"` // CDS, EDS, LDS, RDS or SDS
	Name string `json:"name"`
	// Version is its version in the incremental protocol.
	Version string          `json:"version"`
	Source  source.Position `json:"source,omitzero"`
	// Body is the resource as JSON, as Envoy's own config_dump has it.
	Body json.RawMessage `json:"body"`
}

// Configuration returns what a node is served; nil when no proxy of that node id is connected.
func (s *Server) Configuration(node string) (*Configuration, error) {
	report := s.staging.status()
	c, resources := s.proxies.served(node)
	if c == nil {
		return nil, nil
	}
	c.Mesh, c.Hash, c.Placed = report.Mesh, report.Hash, s.config.Placed
	for i, r := range resources {
		body, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(r)
		if err != nil {
			return nil, err
		}
		c.Resources[i].Body, c.Resources[i].Source = body, envoy.Source(r)
	}
	return c, nil
}

// served is what a node is served, without the bodies of the resources, which are returned besides: they never change,
// so they are written without the lock.
func (p *proxies) served(node string) (*Configuration, []types.Resource) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.nodes[node]
	if n == nil || n.built == nil {
		return nil, nil
	}
	c := &Configuration{Node: node, Ahead: len(n.stages), Resources: []ServedResource{}}
	if n.of != nil {
		c.Options = n.of.Options
	}
	var resources []types.Resource
	for _, url := range typeURLs {
		for _, name := range sortedKeys(n.built.resources[url]) {
			c.Resources = append(c.Resources, ServedResource{
				Type: short(url), Name: name, Version: n.built.hashes[url][name],
			})
			resources = append(resources, n.built.resources[url][name])
		}
	}
	return c, resources
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
