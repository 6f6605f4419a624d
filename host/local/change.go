package local

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
)

// A change takes place as it would where somebody deploys with care: what is new
// runs before anybody is sent there, and what goes ends once nobody is.

// coming is the mesh as it was, in which the new members and instances are too, so
// that their proxies can be configured; nobody calls them yet. Starting are the new instances, by service.
func (m *Mesh) coming(before, placed *ir.Mesh) (out *ir.Mesh, starting map[string][]string) {
	if before == nil {
		return placed, nil
	}
	out, starting = before.Clone(), map[string][]string{}
	out.Settings = placed.Settings
	for _, s := range placed.Services {
		was := out.Service(s.Name)
		if was == nil {
			alone := *s
			alone.Uses, alone.Routes = nil, nil
			out.Services = append(out.Services, &alone)
			continue
		}
		if was.Identity != s.Identity || len(was.Ports) != len(s.Ports) {
			return placed, nil
		}
		for _, e := range s.Workload.Endpoints {
			if !slices.ContainsFunc(was.Workload.Endpoints, func(o ir.Endpoint) bool { return o.Name == e.Name }) {
				starting[s.Name] = append(starting[s.Name], e.Name)
				was.Workload.Endpoints = append(was.Workload.Endpoints, e)
			}
		}
	}
	for _, g := range placed.Gateways {
		if out.Gateway(g.Name) == nil {
			alone := *g
			alone.Uses, alone.Routes = nil, nil
			out.Gateways = append(out.Gateways, &alone)
		}
	}
	slices.SortFunc(out.Services, func(a, b *ir.Service) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(out.Gateways, func(a, b *ir.Gateway) int { return strings.Compare(a.Name, b.Name) })
	return out, starting
}

// wanted are the running proxies that the placed mesh has.
func (m *Mesh) wanted(placed *ir.Mesh) []*proxy {
	ids := nodes(placed)
	return slices.DeleteFunc(m.sortedProxies(), func(p *proxy) bool { return !ids[p.id] })
}

// nodes are the ids of the proxies of a mesh.
func nodes(placed *ir.Mesh) map[string]bool {
	ids := map[string]bool{}
	for _, scope := range placed.Scopes() {
		member := scope.Member()
		for _, instance := range instances(&scope) {
			ids[envoy.NodeID(member.Kind, member.Name, instance)] = true
		}
	}
	return ids
}

// farewell is how long a proxy that goes may take to end what it has begun.
const farewell = 3 * time.Second

// leave ends the proxies that the placed mesh has not, once they have nothing to do.
func (m *Mesh) leave(ctx context.Context, placed *ir.Mesh) {
	ids := nodes(placed)
	bounded, cancel := context.WithTimeout(ctx, farewell)
	defer cancel()
	for _, p := range m.sortedProxies() {
		if !ids[p.id] {
			m.idle(bounded, p.id)
		}
	}
	m.stopProxies(func(id string) bool { return !ids[id] })
}

// silence is how long a proxy must hear nothing to be taken for idle. A caller's
// Envoy says that it has taken a change before its workers act by it.
const silence = 100 * time.Millisecond

// idle waits until a proxy has no request and no connection of a caller, and has
// had none for a while.
func (m *Mesh) idle(ctx context.Context, id string) {
	var total uint64
	for since := time.Now(); time.Since(since) < silence; {
		stats, err := m.Stats(ctx, id,
			`^http\.inbound.*\.downstream_rq_(active|total)$|^tcp\.inbound.*\.downstream_cx_(active|total)$`)
		if err != nil {
			return // it is gone, or ill, or out of time
		}
		var active, now uint64
		for name, n := range stats {
			if strings.HasSuffix(name, "_active") {
				active += n
			} else {
				now += n
			}
		}
		if active > 0 || now != total {
			since, total = time.Now(), now
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(poll):
		}
	}
}
