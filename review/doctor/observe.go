package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/review/admin"
	"github.com/meshc/meshc/review/bundle"
	"github.com/meshc/meshc/serve"
	"github.com/meshc/meshc/serve/telemetry"
)

// Observations are what could be learnt. What could not be is nil or empty.
type Observations struct {
	Now time.Time
	// Mesh is the one that is served; without a server that of the spec.
	Mesh *ir.Mesh
	// Past are the meshes that were served before, the newest last and without Mesh.
	Past []Past
	// Loaded is when Mesh was loaded.
	Loaded time.Time
	Server *Server
	// Proxies are those whose administration was asked.
	Proxies []Proxy
}

// Past is a mesh that was served before another one, which was loaded at that time.
type Past struct {
	Mesh  *ir.Mesh
	Until time.Time
}

// Server is what meshc serve says.
type Server struct {
	// Address is where it was asked; Err is why it did not answer, and Took how long it took.
	Address string
	Err     error
	Took    time.Duration
	Status  *serve.Report
	// Edges are those of the last 15 minutes by step, and Latest those of the last 15 seconds, with the failures and
	// the lines of the minutes in these.
	Edges, Latest *serve.EdgeReport
	Recent        *serve.Recent
}

// Sources say where to look.
type Sources struct {
	// Servers are admin addresses of meshc serve, HOST:PORT, and Envoys those of proxies besides those on this host
	// that the mesh tells of.
	Servers, Envoys []string
	// Mesh is that of the spec; nil when it does not compile, or is not there.
	Mesh *ir.Mesh
	// Bundle has what the addresses answered when it was made, and they are not asked; nil to ask them.
	Bundle *bundle.Bundle
	// later says that what a bundle has is the second of two answers.
	later bool
}

// OfBundle are the sources that a bundle has.
func OfBundle(b *bundle.Bundle) Sources {
	return Sources{Servers: b.Asked("/status"), Envoys: b.Asked("/server_info"), Bundle: b}
}

// read is the answer of an address to a GET request.
func (s *Sources) read(ctx context.Context, address, path string) ([]byte, error) {
	switch {
	case s.Bundle != nil && s.later:
		return s.Bundle.Later(address, path)
	case s.Bundle != nil:
		return s.Bundle.Answer(address, path)
	}
	return admin.Read(ctx, address, path)
}

// json reads an answer of an address into a value.
func (s *Sources) json(ctx context.Context, address, path string, into any) error {
	raw, err := s.read(ctx, address, path)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// Times of observing: all of it takes less than five seconds.
const (
	serverTime = 3 * time.Second
	proxyTime  = 2 * time.Second
	// late is the answer of a server that is starved.
	late = 2 * time.Second
	// mostPast is how many earlier meshes are read.
	mostPast = 4
)

// Observe looks at all sources, side by side.
func Observe(ctx context.Context, from Sources) *Observations {
	o := &Observations{Mesh: from.Mesh, Now: time.Now().UTC()}
	if from.Bundle != nil {
		o.Now = from.Bundle.Created
	}
	for _, address := range from.Servers {
		one := &Server{Address: admin.Trimmed(address)}
		one.Err = one.read(ctx, &from, o)
		o.add(one)
	}
	if o.Server != nil && o.Server.Edges != nil {
		o.Now = o.Server.Edges.Now.UTC()
	}
	o.Proxies = from.askProxies(ctx, adminAddresses(o, &from))
	return o
}

// add joins what several servers say: each knows its own proxies. One that does not answer is what is told of them.
func (o *Observations) add(one *Server) {
	had := o.Server
	switch {
	case had == nil || one.Err != nil && had.Err == nil:
		o.Server = one
		if had == nil {
			return
		}
		one.Status, one.Edges, one.Latest, one.Recent = had.Status, had.Edges, had.Latest, had.Recent
	case one.Edges != nil && had.Edges != nil:
		had.Edges.Add(one.Edges)
		had.Latest.Add(one.Latest)
	case had.Edges == nil:
		had.Status, had.Edges, had.Latest, had.Recent = one.Status, one.Edges, one.Latest, one.Recent
	}
}

// read asks a server for all that it tells.
func (s *Server) read(ctx context.Context, from *Sources, o *Observations) error {
	ctx, cancel := context.WithTimeout(ctx, serverTime)
	defer cancel()
	begun := time.Now()
	status, edges, latest, recent := &serve.Report{}, &serve.EdgeReport{}, &serve.EdgeReport{}, &serve.Recent{}
	errs := together(
		func() error {
			err := s.get(ctx, from, "/status", status)
			s.Took = time.Since(begun)
			return err
		},
		func() error {
			return s.get(ctx, from, "/edges?steps=true&window="+url.QueryEscape(telemetry.Kept.String()), edges)
		},
		func() error {
			return s.get(ctx, from, "/edges?window="+url.QueryEscape(telemetry.Step.String()), latest)
		},
		func() error { return s.get(ctx, from, "/recent", recent) },
	)
	if errs[0] != nil {
		return errs[0]
	}
	s.Status = status
	if errors.Join(errs[1:]...) != nil {
		return nil // it has no mesh yet
	}
	s.Edges, s.Latest, s.Recent = edges, latest, recent
	o.Loaded = status.Loaded
	s.readMeshes(ctx, from, o, recent.Meshes)
	return nil
}

// readMeshes reads the mesh that is served and those before it.
func (s *Server) readMeshes(ctx context.Context, from *Sources, o *Observations, list []serve.Loaded) {
	list = list[max(0, len(list)-1-mostPast):]
	for i, m := range list {
		raw, err := from.read(ctx, s.Address, "/mesh?hash="+url.QueryEscape(m.Hash))
		if err != nil {
			continue // it is no longer kept
		}
		read, err := ir.Unmarshal(raw)
		switch {
		case err != nil:
		case i == len(list)-1:
			o.Mesh = read
		default:
			o.Past = append(o.Past, Past{read, list[i+1].At})
		}
	}
}

func (s *Server) get(ctx context.Context, from *Sources, path string, into any) error {
	raw, err := from.read(ctx, s.Address, path)
	if err != nil {
		return err
	}
	if json.Unmarshal(raw, into) != nil {
		return fmt.Errorf("%s is not meshc serve", s.Address)
	}
	return nil
}

// together runs functions side by side.
func together(run ...func() error) []error {
	errs := make([]error, len(run))
	var wait sync.WaitGroup
	for i, f := range run {
		wait.Go(func() { errs[i] = f() })
	}
	wait.Wait()
	return errs
}
