package serve

import (
	"sync"
	"time"
)

// Sources of what is served, as [Server.Heard] names them. Those of Kubernetes are named with their namespaces.
const (
	sourceMesh      = "mesh"
	sourceEndpoints = "endpoints files"
	sourceAuthority = "authority"
)

// SourceStatus is what is known of a source of what the server serves: files, or a watch of the API server.
type SourceStatus struct {
	Name string `json:"name"`
	// Heard is when its last message came, or when its files were last read, and Age how long ago that is, in seconds.
	Heard time.Time `json:"heard"`
	Age   float64   `json:"ageSeconds"`
	// Within is the longest time between two messages of a source that is well, in seconds; 0 for one that tells
	// changes only.
	Within float64 `json:"withinSeconds,omitempty"`
}

// Silent reports whether the source has told nothing for longer than it ever does: what it tells may be out of date,
// though every proxy has acknowledged it.
func (s *SourceStatus) Silent() bool { return s.Within > 0 && s.Age > s.Within }

// Heard records that a source has just told something. Within is the longest time between two messages of it while it
// is well; 0 for a source that tells changes only. [Server.Unfollow] forgets a source that is not followed any more.
func (s *Server) Heard(source string, within time.Duration) {
	s.sources.heard(source, within, time.Now())
}

// Unfollow forgets a source.
func (s *Server) Unfollow(source string) { s.sources.forget(source) }

// sources are when each source last told something. Its lock is held only briefly, and no other part is called under
// it.
type sources struct {
	mu   sync.Mutex
	told map[string]told
}

// told is the last message of a source.
type told struct {
	at     time.Time
	within time.Duration
}

func (s *sources) heard(name string, within time.Duration, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told == nil {
		s.told = map[string]told{}
	}
	s.told[name] = told{now, within}
}

func (s *sources) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.told, name)
}

// list returns all sources, sorted by name.
func (s *sources) list(now time.Time) []SourceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]SourceStatus, 0, len(s.told))
	for _, name := range sortedKeys(s.told) {
		t := s.told[name]
		out = append(out, SourceStatus{
			Name: name, Heard: t.at, Age: max(0, now.Sub(t.at).Seconds()), Within: t.within.Seconds(),
		})
	}
	return out
}
