package serve

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/serve/lever"
)

// Report is the state of a server, its mesh and its proxies. It is the body of /status.
type Report struct {
	Mesh   string    `json:"mesh,omitempty"`
	Hash   string    `json:"hash,omitempty"`
	Loaded time.Time `json:"loaded,omitzero"`
	// Ahead is how many stages of a change follow the one that is served.
	Ahead int `json:"ahead,omitempty"`
	// Failure is the reason why the mesh on disk is not the mesh that is served; empty if there is none.
	Failure string `json:"failure,omitempty"`
	// Waiting is the reason why a changed mesh that is right is not served yet: a lever freezes changes; empty if there
	// is none.
	Waiting string `json:"waiting,omitempty"`
	// Endpoints is the error in the endpoints files; empty if there is none.
	Endpoints string  `json:"endpoints,omitempty"`
	Proxies   []Proxy `json:"proxies"`
	// Sources are those of the mesh and its instances, with the age of what each last told.
	Sources []SourceStatus `json:"sources,omitempty"`
	// Levers are what operators have changed for a time, and is in force.
	Levers []lever.Lever `json:"levers,omitempty"`
	// Rotation is the state of the embedded authority, and Holders are the hosts that have certificates of it.
	Rotation *ca.Rotation `json:"rotation,omitempty"`
	Holders  []Holder     `json:"holders,omitempty"`
}

// Proxy is a proxy that is connected, or a proxy of the mesh that is not connected.
type Proxy struct {
	Node      string    `json:"node"`
	Identity  string    `json:"identity"`
	Connected bool      `json:"connected"`
	Since     time.Time `json:"since,omitzero"`
	Version   string    `json:"version,omitempty"`
	// Gone is true for a connected proxy whose member is no longer in the mesh, or has another identity there.
	Gone bool `json:"gone,omitempty"`
	// Excepted is the reason why changes do not wait for this proxy (mesh.server.except); empty if they do.
	Excepted string `json:"excepted,omitempty"`
	// Trust is the digest of the trust bundle that the proxy has acknowledged, or [TrustByFile].
	Trust string `json:"trust,omitempty"`
	// Types are the states of CDS, EDS, LDS, RDS and SDS, if the proxy subscribed to them.
	Types []TypeStatus `json:"types,omitempty"`
}

// The states of a proxy or of one of its types.
const (
	StateCurrent = "current" // it has taken what it was sent last
	StateBehind  = "behind"  // it has not answered yet
	StateRefused = "refused" // it has refused something
	StateAbsent  = "not connected"
	StateGone    = "not in the mesh" // or no longer with that identity
)

// TrustByFile is the value of [Proxy.Trust] for proxies that read their trust bundle from a file.
const TrustByFile = "file"

// TypeStatus is the state of the resources of one type at a proxy.
type TypeStatus struct {
	Type    string    `json:"type"`
	State   string    `json:"state"`
	Version string    `json:"version"`
	Since   time.Time `json:"since"` // when that version was sent
	// Age is how long ago the first change was that the proxy has not acknowledged, in seconds; 0 if it has everything.
	Age float64 `json:"ageSeconds,omitempty"`
	// Took is how long the last change took until the proxy had acknowledged it, in seconds; 0 if there was none.
	Took     float64   `json:"tookSeconds,omitempty"`
	Refusals []Refusal `json:"refusals,omitempty"`
}

// State returns the state of the proxy: StateAbsent, StateGone, or the worst state of its types.
func (p *Proxy) State() string {
	if !p.Connected {
		return StateAbsent
	}
	if p.Gone {
		return StateGone
	}
	state := StateCurrent
	for _, t := range p.Types {
		if t.State == StateRefused || t.State == StateBehind && state == StateCurrent {
			state = t.State
		}
	}
	return state
}

// MarshalJSON adds the state, and the member whose proxy it is, as [ir.Ref] names it.
func (p Proxy) MarshalJSON() ([]byte, error) {
	type plain Proxy
	out := struct {
		plain
		State  string `json:"state"`
		Member string `json:"member,omitempty"`
	}{plain: plain(p), State: p.State()}
	if kind, name, _, err := envoy.ParseNodeID(p.Node); err == nil {
		out.Member = ir.Ref{Kind: kind, Name: name}.String()
	}
	return json.Marshal(out)
}

// Silent returns the sources that have told nothing for longer than they ever do.
func (r *Report) Silent() (out []SourceStatus) {
	for _, s := range r.Sources {
		if s.Silent() {
			out = append(out, s)
		}
	}
	return out
}

// Good reports whether there is a mesh, the mesh on disk is the one that is served, no source is silent, and every
// connected proxy has acknowledged it, except the proxies in mesh.server.except.
func (r *Report) Good() bool {
	return r.Mesh != "" && r.Failure == "" && r.Endpoints == "" && r.Silent() == nil &&
		!slices.ContainsFunc(r.Proxies, func(p Proxy) bool {
			return p.Excepted == "" && (p.State() == StateBehind || p.State() == StateRefused)
		})
}

// Status returns the present state of the server.
func (s *Server) Status() Report {
	now := time.Now()
	r := s.staging.status(now)
	r.Endpoints, r.Holders, r.Sources = s.live.wrongFiles(), s.holders.list(now), s.sources.list(now)
	r.Levers = s.levers.inForce()
	if s.config.Authority != nil {
		rotation := s.config.Authority.Rotation()
		r.Rotation = &rotation
	}
	return r
}

// status returns the state of the proxies, and the number of connected ones of each node. The goal is the mesh that
// was loaded; ahead is when that was, if more stages follow, else zero.
func (p *proxies) status(goal *ir.Mesh, ahead, now time.Time) (out []Proxy, connected map[string]int) {
	out, connected = []Proxy{}, map[string]int{}
	for _, n := range p.sortedNodes() {
		about := n.status(ahead, now)
		if e := exception(goal, n); e != nil {
			about.Excepted = e.Reason
		}
		out = append(out, about)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, n := range p.nodes {
		connected[id] = n.streams
	}
	return out, connected
}

// status returns the state of the node; ahead is the time of a change of which more stages follow, zero for none.
func (n *node) status(ahead, now time.Time) Proxy {
	n.mu.Lock()
	defer n.mu.Unlock()
	about := Proxy{
		Node: n.id, Identity: n.identity.String(), Connected: true, Since: n.since, Version: n.version,
		Gone: n.gone, Trust: n.trusts(),
	}
	for _, url := range sortedKeys(n.types) {
		t, state, age := n.types[url], n.state(url), n.age(url, now)
		if state == StateCurrent && !ahead.IsZero() {
			state, age = StateBehind, now.Sub(ahead) // on the way to the mesh that was loaded
		}
		of := TypeStatus{
			Type: short(url), State: state, Version: t.sentVersion,
			Since: t.sentAt, Age: age.Seconds(), Refusals: t.refusals,
		}
		if f := n.fresh[url]; f != nil {
			of.Took = f.took.Seconds()
		}
		about.Types = append(about.Types, of)
	}
	slices.SortFunc(about.Types, func(a, b TypeStatus) int { return strings.Compare(a.Type, b.Type) })
	return about
}

// withAbsent returns the connected proxies and those that are not connected, sorted by node.
func withAbsent(list []Proxy, m *ir.Mesh, connected map[string]int) []Proxy {
	list = append(list, absent(m, connected)...)
	slices.SortStableFunc(list, func(a, b Proxy) int { return strings.Compare(a.Node, b.Node) })
	return list
}

// absent returns the proxies of the mesh that are not connected: one for each known endpoint, and for every other
// member at least one. A proxy need not have the name of an endpoint, and each proxy with another name can stand for
// an endpoint that is missing. If it is not known which endpoints remain, one entry stands for all of them, with the
// instance "?".
func absent(m *ir.Mesh, connected map[string]int) []Proxy {
	type of struct {
		kind ir.MemberKind
		name string
	}
	all := map[of]int{}
	for id, n := range connected {
		if kind, name, _, err := envoy.ParseNodeID(id); err == nil {
			all[of{kind, name}] += n
		}
	}
	var out []Proxy
	member := func(kind ir.MemberKind, name, identity string, instances []ir.Endpoint) {
		away := func(instance string) {
			out = append(out, Proxy{Node: envoy.NodeID(kind, name, instance), Identity: identity})
		}
		others := all[of{kind, name}]
		if len(instances) == 0 {
			if others == 0 {
				away("")
			}
			return
		}
		var unseen []string
		for _, e := range instances {
			if n := connected[envoy.NodeID(kind, name, e.Name)]; n > 0 {
				others -= n
			} else {
				unseen = append(unseen, e.Name)
			}
		}
		switch {
		case others == 0:
			for _, name := range unseen {
				away(name)
			}
		case others < len(unseen):
			away("?")
		}
	}
	for _, v := range m.Services {
		var instances []ir.Endpoint
		if v.Proxy.Interception == ir.InterceptExplicit {
			instances = v.Workload.Endpoints
		}
		member(ir.KindService, v.Name, v.Identity.String(), instances)
	}
	for _, g := range m.Gateways {
		member(ir.KindGateway, g.Name, g.Identity.String(), nil)
	}
	return out
}
