package serve

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/live"
)

// Recent is what has changed lately in what a server serves: its meshes, and the instances of services. It is the body
// of /recent.
type Recent struct {
	Now time.Time `json:"now"`
	// Meshes are those that were loaded, the newest last; /mesh?hash=HASH answers with one of them.
	Meshes []Loaded `json:"meshes"`
	// Instances are those that services have now, by the name of the service.
	Instances map[string][]Instance `json:"instances"`
	// Moves are changes of instances within the last 15 minutes, by the name of the service, the newest last.
	Moves map[string][]Move `json:"moves,omitempty"`
}

// Loaded is a mesh that was loaded.
type Loaded struct {
	Hash string    `json:"hash"`
	At   time.Time `json:"at"`
	mesh *ir.Mesh
}

// Instance is an instance that callers are sent.
type Instance struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Zone    string `json:"zone,omitempty"`
	// Unhealthy is set for one that gets no requests while another is there.
	Unhealthy bool `json:"unhealthy,omitempty"`
}

// Move is a change of the instances of a service: how many came and went, and how many take requests since.
type Move struct {
	At   time.Time `json:"at"`
	Came int       `json:"came"`
	Went int       `json:"went"`
	Left int       `json:"left"`
}

const (
	// mostLoaded is how many meshes are kept, and mostMoves how many changes of the instances of a service.
	mostLoaded = 8
	mostMoves  = 64
	// movesFor is how long these are told.
	movesFor = 15 * time.Minute
)

// loadedMeshes are the last meshes that were loaded. What they have in common is the same values.
type loadedMeshes struct {
	mu   sync.Mutex
	list []Loaded
}

func (l *loadedMeshes) add(m Loaded) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, m)
	l.list = slices.Clone(l.list[max(0, len(l.list)-mostLoaded):])
}

func (l *loadedMeshes) all() []Loaded {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.list)
}

// named is the mesh of a hash; nil where it is not kept.
func (l *loadedMeshes) named(hash string) *ir.Mesh {
	for _, m := range slices.Backward(l.all()) {
		if m.Hash == hash {
			return m.mesh
		}
	}
	return nil
}

// movements are the last changes of the instances of services.
type movements struct {
	mu sync.Mutex
	of map[string][]Move
}

// note compares the instances of services in two views.
func (m *movements) note(before, after *view, services map[string]bool, now time.Time) {
	if before.mesh == nil || after.mesh == nil {
		return // what is known first is no change
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of == nil {
		m.of = map[string][]Move{}
	}
	for name := range services {
		was, is := before.mesh.Service(name), after.mesh.Service(name)
		if was == nil || is == nil {
			delete(m.of, name)
			continue
		}
		had, has := taking(before.instances(&was.Upstream)), taking(after.instances(&is.Upstream))
		move := Move{At: now, Left: len(has)}
		for address := range has {
			if !had[address] {
				move.Came++
			}
		}
		for address := range had {
			if !has[address] {
				move.Went++
			}
		}
		if move.Came+move.Went > 0 {
			list := append(m.of[name], move)
			m.of[name] = slices.Clone(list[max(0, len(list)-mostMoves):])
		}
	}
}

// taking are the addresses of instances that take requests.
func taking(list []live.Endpoint) map[string]bool {
	out := make(map[string]bool, len(list))
	for i := range list {
		if !list[i].Unhealthy {
			out[list[i].Address] = true
		}
	}
	return out
}

// since are the moves since then.
func (m *movements) since(at time.Time) map[string][]Move {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string][]Move{}
	for name, list := range m.of {
		for i := range list {
			if list[i].At.After(at) {
				out[name] = slices.Clone(list[i:])
				break
			}
		}
	}
	return out
}

// Recent returns what has changed lately.
func (s *Server) Recent() Recent {
	now := time.Now()
	out := Recent{
		Now: now, Meshes: s.staging.earlier.all(), Instances: map[string][]Instance{},
		Moves: s.live.moves.since(now.Add(-movesFor)),
	}
	v := s.live.now()
	if v.mesh == nil {
		return out
	}
	for _, service := range v.mesh.Services {
		list := []Instance{}
		for _, e := range v.instances(&service.Upstream) {
			list = append(list, Instance{e.Name, e.Address, e.Zone, e.Unhealthy})
		}
		out.Instances[service.Name] = list
	}
	return out
}

// tellRecent answers with the [Recent] changes.
func (s *Server) tellRecent(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s.Recent()) // a client that goes away does not concern meshc
}
