package local

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/serve"
)

// control is the meshc serve of a mesh, in this process.
type control struct {
	server *serve.Server
	cancel context.CancelFunc
	done   chan error
}

// serve gives the placed mesh to meshc serve, which it starts when there is none
// yet. Starting are the instances that take no requests yet, by service.
func (m *Mesh) serve(placed *ir.Mesh, starting map[string][]string) error {
	if m.control != nil {
		m.control.server.SetStarting(starting)
		return m.control.server.SetMesh(placed)
	}
	xds, err := m.placement.Server()
	if err != nil {
		return err
	}
	admin, err := m.placement.ServerAdmin()
	if err != nil {
		return err
	}
	metrics, err := m.placement.ServerMetrics() // for a scraper that comes later, too
	if err != nil {
		return err
	}
	server, err := serve.New(serve.Config{
		Listen: xds, AdminListen: admin, MetricsListen: metrics, Authority: m.authority, Log: m.log,
		Build: m.build, Placed: true,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.control = &control{server, cancel, make(chan error, 1)}
	running, ctx := errgroup.WithContext(ctx)
	running.Go(func() error { return server.Run(ctx) })
	if m.endpoints != "" {
		running.Go(func() error { return server.FollowEndpoints(ctx, m.endpoints) })
	}
	go func() { m.control.done <- running.Wait() }()
	return server.SetMesh(placed)
}

// ServerAdmin is where meshc serve tells its status and the edges of the mesh, IP:PORT; empty where there is none.
func (m *Mesh) ServerAdmin() string {
	if m.control == nil {
		return ""
	}
	return m.control.server.AdminAddr()
}

func (c *control) stop() error {
	c.cancel()
	return <-c.done
}

// settle waits until every proxy has taken what it is to have.
// One that refuses what it was sent since then will not: that is an error at once.
func (c *control) settle(ctx context.Context, proxies []*proxy, since time.Time) error {
	for {
		report := c.server.Status()
		waiting := pending(&report, proxies)
		if waiting == nil {
			return nil
		}
		if err := refusal(&report, proxies, since); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), waiting)
		case <-time.After(poll):
		}
	}
}

// pending says of a proxy that has not taken everything; nil when all have.
func pending(r *serve.Report, proxies []*proxy) error {
	states := map[string]*serve.Proxy{}
	for i := range r.Proxies {
		states[r.Proxies[i].Node] = &r.Proxies[i]
	}
	for _, p := range proxies {
		known := states[p.id]
		switch {
		case known == nil || !known.Connected:
			return fmt.Errorf("%s is not connected to meshc serve", p.id)
		case known.State() != serve.StateCurrent || len(known.Types) == 0:
			return fmt.Errorf("%s is %s%s", p.id, known.State(), why(known))
		}
	}
	return nil
}

// refusal says which proxy has refused something since then, and what: others may still
// be behind. It is nil when none has.
func refusal(r *serve.Report, proxies []*proxy, since time.Time) error {
	for _, p := range r.Proxies {
		if !slices.ContainsFunc(proxies, func(known *proxy) bool { return known.id == p.Node }) {
			continue
		}
		for _, t := range p.Types {
			if slices.ContainsFunc(t.Refusals, func(refusal serve.Refusal) bool { return refusal.Since.After(since) }) {
				return fmt.Errorf("%s is %s%s", p.Node, serve.StateRefused, why(&p))
			}
		}
	}
	return nil
}

// why is what a proxy said when it refused something.
func why(p *serve.Proxy) string {
	for _, t := range p.Types {
		for _, r := range t.Refusals {
			return fmt.Sprintf(": %s: %s", r.Resource, r.Reason)
		}
	}
	return ""
}
