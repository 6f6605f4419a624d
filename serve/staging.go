package serve

import (
	"cmp"
	"log/slog"
	"sync"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/update"
)

const (
	// stageTime is how long a stage waits for proxies; then the next stage begins without those that have not
	// acknowledged it. narrowTime is for a change that removes permissions, because these stay usable until the
	// change is finished.
	stageTime  = 15 * time.Second
	narrowTime = 2 * time.Second
	// stageRest is the minimum time of a stage, because a proxy acknowledges a resource before its workers use it.
	stageRest = 500 * time.Millisecond
)

// staging brings a loaded mesh to the proxies, in stages if they must not get all of it at once. Its lock is held
// while a stage begins, so that stages are served in order; whoever asks for the progress of a change waits for that.
type staging struct {
	log     *slog.Logger
	metrics *metrics
	live    *liveMesh
	proxies *proxies

	mu       sync.Mutex
	ahead    []*ir.Mesh    // what will be served after what is, each once all proxies have the one before
	began    time.Time     // when what is served was begun to be
	patience time.Duration // how long a stage waits for proxies
	hash     string        // of the mesh that was loaded; empty for none
	loaded   time.Time
	failure  string // why the mesh on disk is not the one served
	waiting  string // why a changed mesh is not served yet
	earlier  loadedMeshes
}

// good records that the mesh on disk is valid, and reports whether it is already served or on its way.
func (s *staging) good(hash string) (known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure, s.waiting = "", ""
	s.metrics.reloads.WithLabelValues("ok").Inc()
	s.metrics.stale.Set(0)
	return hash == s.hash
}

// fail records why a mesh was not accepted.
func (s *staging) fail(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != reason {
		goes := "the mesh is wrong; serving nothing until it is right"
		if s.live.now().mesh != nil {
			goes = "the changed mesh is wrong; serving the last good one"
		}
		s.log.Error(goes, "reason", reason)
	}
	s.failure, s.waiting = reason, ""
	s.metrics.reloads.WithLabelValues("failed").Inc()
	s.metrics.stale.Set(1)
}

// take begins to serve a mesh, or the first stage on the way to it.
func (s *staging) take(m *ir.Mesh, hash string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hash, s.loaded = hash, time.Now()
	s.earlier.add(Loaded{Hash: hash, At: s.loaded, mesh: m})
	s.metrics.mesh(hash)
	if len(s.ahead) > 0 {
		// Another change is on its way, with rights that this one may take back: it waits for nobody.
		s.ahead = []*ir.Mesh{m}
	} else {
		served := s.live.now().mesh
		s.ahead, s.patience = update.Stages(served, m), stageTime
		if update.Narrows(served, m) {
			s.patience = narrowTime
		}
	}
	s.log.Info("mesh loaded", "mesh", m.Name, "hash", hash, "services", len(m.Services),
		"proxies", s.proxies.count(), "stages", len(s.ahead))
	s.advance()
}

// advance begins to serve the next stage. It is called with the lock held.
func (s *staging) advance() {
	next := s.ahead[0]
	s.ahead, s.began = s.ahead[1:], time.Now()
	s.proxies.refreshChanged(s.live.setMesh(next, s.began), s.loaded)
}

// advanceWhenTaken begins the next stage of a change if all proxies have acknowledged the present one.
func (s *staging) advanceWhenTaken(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ahead) == 0 || now.Sub(s.began) < stageRest {
		return
	}
	if s.proxies.taken(s.goal(), now.Sub(s.began) >= s.patience) {
		s.advance()
	}
}

// goal returns the mesh that was loaded, which is served or on its way; nil if there is none. It is called with the
// lock held.
func (s *staging) goal() *ir.Mesh {
	if n := len(s.ahead); n > 0 {
		return s.ahead[n-1]
	}
	return s.live.now().mesh
}

// mesh returns the mesh that was loaded; nil if there is none.
func (s *staging) mesh() *ir.Mesh {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.goal()
}

// status returns the state of the mesh that was loaded.
func (s *staging) status(now time.Time) Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := Report{Hash: s.hash, Loaded: s.loaded, Failure: s.failure, Waiting: s.waiting, Ahead: len(s.ahead)}
	var connected map[string]int
	var ahead time.Time
	if len(s.ahead) > 0 {
		ahead = s.loaded
	}
	r.Proxies, connected = s.proxies.status(s.goal(), ahead, now)
	if m := s.live.now().mesh; m != nil {
		r.Mesh = m.Name
		r.Proxies = withAbsent(r.Proxies, m, connected)
	}
	return r
}

// rollout returns the progress of the mesh that was loaded.
func (s *staging) rollout() Rollout {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.proxies.rollout(s.goal())
	r.Mesh, r.Failure = s.hash, cmp.Or(s.failure, s.waiting)
	return r
}
