package serve

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/render/envoy"
)

const (
	// measureFor is how long each of the measurements of costs takes at most.
	measureFor = time.Second
	// sampledMembers bounds of how many members configurations are rendered.
	sampledMembers = 500
)

// MeasureCosts measures for a few seconds what it takes to serve a mesh on this machine: it renders configurations as
// for proxies, and makes handshakes with itself. Nothing listens meanwhile. It returns an error if a configuration
// cannot be rendered.
func MeasureCosts(m *ir.Mesh) (*Costs, error) {
	authority, err := ca.InMemory()
	if err != nil {
		return nil, err
	}
	scopes := m.Scopes()
	c := &Costs{
		Members: len(scopes), Callers: callersOf(scopes), CPUs: runtime.GOMAXPROCS(0), Memory: memoryLimit(),
		MeshBytes: liveBytes(),
	}
	if err := c.measureRender(scopes, authority.Bundle()); err != nil {
		return nil, err
	}
	c.Handshake, err = measureHandshake(authority, m.ServerIdentity())
	return c, err
}

// callersOf is how many members call a service, on average of those that are called.
func callersOf(scopes []ir.Scope) float64 {
	uses, callees := 0, map[string]bool{}
	for i := range scopes {
		for name := range scopes[i].Upstreams {
			uses++
			callees[name] = true
		}
	}
	return float64(uses) / float64(max(1, len(callees)))
}

// liveBytes are those of the heap that are in use.
func liveBytes() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// measureRender renders the configurations of some of the members, evenly chosen.
func (c *Costs) measureRender(scopes []ir.Scope, bundle []byte) error {
	if len(scopes) == 0 {
		return nil
	}
	p := &proxies{build: envoy.Build}
	render := func(i int) (bytes int, err error) {
		made, err := p.render(kindEnvoy, &rendered{scopes[i], envoy.Options{TrustBundle: bundle}})
		if err != nil {
			member := scopes[i].Member()
			return 0, fmt.Errorf("%s: %w", member.Ref(), err)
		}
		for _, of := range made.built.resources {
			for _, r := range of {
				bytes += len(r.content.Value)
			}
		}
		return bytes, nil
	}
	if _, err := render(0); err != nil { // Envoy's types are built the first time
		return err
	}
	step, done, bytes, start := max(1, len(scopes)/sampledMembers), 0, 0, time.Now()
	for i := 0; i < len(scopes) && time.Since(start) < measureFor; i += step {
		n, err := render(i)
		if err != nil {
			return err
		}
		bytes, done = bytes+n, done+1
	}
	c.Render, c.MemberBytes = time.Since(start)/time.Duration(done), uint64(bytes/done)
	return nil
}

// measureHandshake is the time of the server for a handshake. Both ends sign once and verify one chain, so half of the
// time is the server's.
func measureHandshake(authority *ca.Authority, server spiffeid.ID) (time.Duration, error) {
	identity := &issued{authority: authority, hosts: []string{localhost}}
	if err := identity.take(server, time.Hour); err != nil {
		return 0, err
	}
	own, err := authority.Certificate(server, time.Hour)
	if err != nil {
		return 0, err
	}
	config := (&Server{identity: identity}).tlsConfig()
	client := &tls.Config{
		RootCAs: authority.Pool(), ServerName: localhost, NextProtos: config.NextProtos, MinVersion: tls.VersionTLS13,
		Certificates: []tls.Certificate{*own},
	}
	done, start := 0, time.Now()
	for ; done == 0 || time.Since(start) < measureFor; done++ {
		if err := handshake(config, client); err != nil {
			return 0, err
		}
	}
	return time.Since(start) / time.Duration(2*done), nil
}

const localhost = "127.0.0.1"

// handshake makes one, and closes the connection.
func handshake(server, client *tls.Config) error {
	one, other := net.Pipe()
	defer other.Close()
	failed := make(chan error, 1)
	go func() {
		defer one.Close()
		conn := tls.Server(one, server)
		_, err := conn.Write([]byte{1}) // after the handshake
		failed <- err
	}()
	_, err := io.ReadFull(tls.Client(other, client), make([]byte, 1))
	return errors.Join(err, <-failed)
}

// memoryLimit are the bytes that this process may have: those of its control group, or of the machine; 0 where neither
// is known.
func memoryLimit() uint64 {
	var limit uint64
	if data, err := os.ReadFile("/proc/meminfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			if total, found := strings.CutPrefix(line, "MemTotal:"); found {
				kibibytes, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(total), " kB"), 10, 64)
				limit = kibibytes << 10
			}
		}
	}
	if data, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil { // which may say "max"
		if n, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64); err == nil {
			if limit == 0 || n < limit {
				limit = n
			}
		}
	}
	return limit
}
