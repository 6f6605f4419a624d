package serve

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/serve/telemetry"
)

// EdgeReport is what proxies have told of the edges of the mesh in a window of time. It is the body of /edges.
type EdgeReport struct {
	Mesh string    `json:"mesh"`
	Hash string    `json:"hash"`
	Now  time.Time `json:"now"`
	// Since is when the server was started: it knows nothing from before.
	Since time.Time `json:"since"`
	// Window is the length of the window, in seconds.
	Window float64 `json:"window"`
	// Silent are connected proxies that have told nothing for 15 seconds: what they count is missing.
	Silent []string `json:"silent,omitempty"`
	// Omitted is the number of metrics that were not kept: of edges of others, or beyond a bound.
	Omitted uint64 `json:"omitted,omitempty"`
	Edges   []Edge `json:"edges"`
	// Undeclared are calls that no use declares, of services that let them pass.
	Undeclared []UndeclaredCall `json:"undeclared,omitempty"`
}

// Edge is a caller, a callee and a port of it.
type Edge struct {
	// Caller is "service NAME" or "gateway NAME"; a SPIFFE ID that no member has, or that several services have, where
	// only the callee tells of them; or empty for a caller without a certificate.
	Caller string `json:"caller,omitempty"`
	// Callee is "service NAME" or "external NAME"; empty for what the caller's proxy answers itself.
	Callee string `json:"callee,omitempty"`
	Port   uint16 `json:"port,omitempty"`
	// PortName is the name of the port in the spec.
	PortName string `json:"portName,omitempty"`
	// Declared is set where the mesh that is served has a call on this edge. Uses is where the caller says so, and
	// Allow are the rules by which the callee lets it in.
	Declared bool            `json:"declared"`
	Uses     source.Position `json:"uses,omitzero"`
	Allow    []EdgeRule      `json:"allow,omitempty"`
	// CallerSource and CalleeSource are where the two are written.
	CallerSource source.Position `json:"callerSource,omitzero"`
	CalleeSource source.Position `json:"calleeSource,omitzero"`
	// Reports is set while a proxy of the caller reports: then an edge without requests has none.
	Reports bool `json:"reports,omitempty"`
	// Client and Server are what the proxies of the two ends tell; nil for what was not told.
	Client *telemetry.End `json:"client,omitempty"`
	Server *telemetry.End `json:"server,omitempty"`
}

// EdgeRule is a rule that lets the caller in.
type EdgeRule struct {
	Name   string          `json:"name"`
	Source source.Position `json:"source,omitzero"`
	// Part is set for a rule that lets in some requests only: by methods, paths, headers, a token or addresses.
	Part bool `json:"part,omitempty"`
}

// Stats is what the caller's end tells, or else the callee's; nil where nothing was told. Requests that the callee
// denied are told by its end alone. So is why it closed a connection below HTTP: to the caller's proxy it is one that
// came to its end, so the errors are those of the end that has more, and the failures those of both.
func (e *Edge) Stats() *telemetry.End {
	if e.Client == nil {
		return e.Server
	}
	if e.Server == nil || e.Client.Kind != telemetry.ClientTCP {
		return e.Client
	}
	out := *e.Client
	out.Errors = max(out.Errors, e.Server.Errors)
	out.Failures = slices.Concat(out.Failures, e.Server.Failures)
	return &out
}

// Denied are the requests or connections that rules did not let in: those of the callee, or of the gateway that the
// requests came to.
func (e *Edge) Denied() (n uint64) {
	for _, end := range []*telemetry.End{e.Client, e.Server} {
		if end != nil {
			n += end.Denied
		}
	}
	return n
}

// The states of an edge without requests, or that the mesh does not declare; one with requests has none.
const (
	EdgeUndeclared = "not declared"
	EdgeUnknown    = "not known: no proxy of the caller reports"
	EdgeSilent     = "no traffic"
)

// State says what is to be said of the edge beside its numbers; empty where there is nothing.
func (e *Edge) State() string {
	end := e.Stats()
	switch {
	case !e.Declared && e.Callee != "":
		return EdgeUndeclared
	case end != nil && end.Requests > 0:
		return ""
	case !e.Reports:
		return EdgeUnknown
	}
	return EdgeSilent
}

// MarshalJSON adds the state.
func (e Edge) MarshalJSON() ([]byte, error) {
	type plain Edge
	return json.Marshal(struct {
		plain
		State string `json:"state,omitempty"`
	}{plain(e), e.State()})
}

// silentAfter is how long a connected proxy may tell nothing.
const silentAfter = 3 * envoy.ReportInterval

// Edges returns what the proxies have told of the window before now, which is at most [telemetry.Kept], beside the
// edges that the mesh declares.
func (s *Server) Edges(window time.Duration) EdgeReport { return s.edges(window, s.reports.store.Ends) }

// EdgesByStep are [Server.Edges] with the steps of each end.
func (s *Server) EdgesByStep(window time.Duration) EdgeReport {
	return s.edges(window, s.reports.store.EndsByStep)
}

func (s *Server) edges(window time.Duration, ends func(time.Duration, time.Time) []telemetry.End) EdgeReport {
	now := time.Now()
	status := s.staging.status(time.Now())
	out := EdgeReport{
		Mesh: status.Mesh, Hash: status.Hash, Now: now, Window: window.Seconds(), Omitted: s.reports.store.Omitted(),
		Since: s.begun,
	}
	told := s.reports.told(now.Add(-silentAfter))
	out.Silent = s.proxies.silent(now, told)
	j := &joined{edges: map[edgeKey]*Edge{}, reports: map[string]bool{}}
	for id := range told {
		if kind, name, _, err := envoy.ParseNodeID(id); err == nil {
			j.reports[ir.Ref{Kind: kind, Name: name}.String()] = true
		}
	}
	if m := s.staging.mesh(); m != nil {
		j.declare(m)
	}
	view := s.live.now()
	for _, end := range ends(window, now) {
		if !end.Kind.Undeclared() {
			j.tell(&end)
		} else if call, is := j.undeclared(&end, view); is {
			out.Undeclared = append(out.Undeclared, call)
		}
	}
	slices.SortFunc(out.Undeclared, compareUndeclared)
	for _, e := range j.edges {
		out.Edges = append(out.Edges, *e)
	}
	slices.SortFunc(out.Edges, compareEdges)
	return out
}

// edgeKey is an edge by the labels of metrics, and by the caller's name where several services have its identity and it
// is known which one calls.
type edgeKey struct{ caller, member, callee, port string }

// joined are edges as they are declared and as they were told.
type joined struct {
	mesh  *ir.Mesh
	edges map[edgeKey]*Edge
	// callers are members by their identities, and callees services and externals by their labels.
	callers map[string][]ir.Peer
	callees map[string]ir.Ref
	// places and reports are of members, as Edge.Caller names them.
	places  map[string]source.Position
	reports map[string]bool
}

// declare adds the calls of a mesh.
func (j *joined) declare(m *ir.Mesh) {
	j.mesh, j.callers, j.callees = m, map[string][]ir.Peer{}, map[string]ir.Ref{}
	j.places = map[string]source.Position{}
	member := func(p ir.Peer, pos source.Position) {
		id := p.Identity.String()
		j.callers[id], j.places[p.Ref().String()] = append(j.callers[id], p), pos
	}
	for i := range m.Services {
		s := m.Services[i]
		member(s.Peer(), s.Pos)
		j.callees[envoy.CalleeLabel(&s.Upstream)] = ir.ServiceRef(s.Name)
	}
	for _, g := range m.Gateways {
		member(g.Peer(), g.Pos)
	}
	for _, e := range m.Externals {
		j.callees[e.Name] = ir.ExternalRef(e.Name)
	}
	for call := range m.Calls() {
		if call.Use.External {
			j.edge(j.key(&call.Caller, call.Use.To, call.Port.Number)).declared(call.Use.Pos)
			continue
		}
		for i := range call.To {
			callee := m.Service(call.To[i].Service)
			port := callee.Port(cmp.Or(call.To[i].Port, call.Port.Name))
			if port == nil {
				continue
			}
			at := call.Use.Pos
			if callee.Name != call.Use.To && call.To[i].Pos.IsValid() { // a route leads there
				at = call.To[i].Pos
			}
			j.edge(j.key(&call.Caller, envoy.CalleeLabel(&callee.Upstream), port.Number)).declared(at)
		}
	}
}

// key is the edge of a caller whose name is known.
func (j *joined) key(caller *ir.Peer, callee string, port uint16) edgeKey {
	k := edgeKey{caller: caller.Identity.String(), callee: callee, port: strconv.Itoa(int(port))}
	if len(j.callers[k.caller]) > 1 {
		k.member = caller.Ref().String()
	}
	return k
}

func (e *Edge) declared(at source.Position) {
	if !e.Declared {
		e.Declared, e.Uses = true, at
	}
}

// edge is the one of those labels.
func (j *joined) edge(k edgeKey) *Edge {
	if had := j.edges[k]; had != nil {
		return had
	}
	e := &Edge{Caller: k.caller, Callee: k.callee}
	if n, err := strconv.ParseUint(k.port, 10, 16); err == nil {
		e.Port = uint16(n)
	}
	var caller ir.Peer
	for _, p := range j.callers[k.caller] {
		if k.member != "" && p.Ref().String() != k.member || k.member == "" && len(j.callers[k.caller]) > 1 {
			continue
		}
		caller, e.Caller = p, p.Ref().String()
		e.CallerSource, e.Reports = j.places[e.Caller], j.reports[e.Caller]
	}
	if id, err := spiffeid.FromString(k.caller); err == nil && caller.Kind == "" {
		caller = ir.Peer{Identity: id}
	}
	if ref, known := j.callees[k.callee]; known {
		e.Callee = ref.String()
		switch ref.Kind {
		case ir.KindExternal:
			e.CalleeSource = j.mesh.External(ref.Name).Pos
		case ir.KindService:
			e.locate(j.mesh.Service(ref.Name), &caller)
		}
	}
	j.edges[k] = e
	return e
}

// locate says where the callee is written, and by which rules it lets the caller in.
func (e *Edge) locate(callee *ir.Service, caller *ir.Peer) {
	e.CalleeSource = callee.Pos
	for i := range callee.Ports {
		port := &callee.Ports[i]
		if port.Number == e.Port {
			e.PortName = port.Name
		}
		for k := range callee.Allow {
			r := &callee.Allow[k]
			if port.Number == e.Port && !r.Audit && r.Holds(port) && r.Names(caller) {
				e.Allow = append(e.Allow, EdgeRule{r.Name, r.Pos, !r.Total()})
			}
		}
	}
}

// tell adds what one end has told.
func (j *joined) tell(end *telemetry.End) {
	e := j.edge(j.told(end))
	at := &e.Server
	if end.Kind.Client() {
		at = &e.Client
	}
	had := *at
	switch {
	case had != nil && had.Kind == telemetry.ServerTCP && end.Kind == telemetry.ServerHTTP: // of the port, and refused
		end.Add(had)
		*at = end
	case had != nil && had.Kind == telemetry.ServerHTTP && end.Kind == telemetry.ServerTCP:
		had.Add(end)
	case had == nil || had.Last.Before(end.Last): // both kinds, where the protocol of the port has changed
		*at = end
	}
}

// told is the edge of which an end tells. A callee knows an identity alone: where several services have it, the caller
// is the only one of them that the mesh lets call, or it stays open who it is.
func (j *joined) told(end *telemetry.End) edgeKey {
	k := edgeKey{end.Caller, end.Member, end.Callee, end.Port}
	sharing := j.callers[end.Caller]
	if k.member != "" && slices.ContainsFunc(sharing, func(p ir.Peer) bool { return p.Ref().String() == k.member }) {
		return k
	}
	k.member = ""
	if len(sharing) < 2 {
		return k
	}
	var calling []string
	for _, p := range sharing {
		of := edgeKey{end.Caller, p.Ref().String(), end.Callee, end.Port}
		if e := j.edges[of]; e != nil && e.Declared {
			calling = append(calling, of.member)
		}
	}
	switch len(calling) {
	case 0:
	case 1:
		k.member = calling[0]
	default:
		j.edge(k).declared(j.edges[edgeKey{end.Caller, calling[0], end.Callee, end.Port}].Uses)
	}
	return k
}

// told are the nodes that have reported since then.
func (r *reports) told(since time.Time) map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]bool{}
	for k, from := range r.nodes {
		if from.heard.Load() >= since.UnixNano() {
			out[k.node] = true
		}
	}
	return out
}

// silent are the Envoys that are connected for longer than they may tell nothing, and have told nothing.
func (p *proxies) silent(now time.Time, told map[string]bool) (out []string) {
	for _, n := range p.sortedNodes() {
		if n.kind == kindEnvoy && !told[n.id] && now.Sub(n.since) > silentAfter {
			out = append(out, n.id)
		}
	}
	return out
}
