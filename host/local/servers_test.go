package local

import (
	"context"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/meshc/meshc/serve"
)

const served = `package served

mesh: {name: "served", trustDomain: "served.example"}

services: client: {
	workload: deployment: "client"
	uses: {one: {}, two: {}, three: {}}
}
services: [=~"^(one|two|three)$"]: {
	ports: http: {port: 8081, protocol: "http"}
	versions: {a: labels: version: "a", b: labels: version: "b"}
	allow: [{from: services: ["client"]}]
}
services: one: workload: deployment: "one"
services: two: workload: deployment: "two"
services: three: workload: deployment: "three"
`

// servers are several meshc serve behind one address, which sends each new connection to the next of them, as a load
// balancer in front of them does.
type servers struct {
	mesh     *Mesh
	listener net.Listener
	relaying sync.WaitGroup

	mu    sync.Mutex
	named map[string]*control
	open  map[net.Conn]string // connections of proxies, with the server that has each
	// accepted is how many there ever were.
	accepted int
}

// behindOneAddress has two servers take the place of that of the mesh, at its address.
func behindOneAddress(t *testing.T, mesh *Mesh) *servers {
	t.Helper()
	s := &servers{mesh: mesh, named: map[string]*control{}, open: map[net.Conn]string{}}
	address := mesh.control.server.Addr()
	if err := mesh.control.stop(); err != nil {
		t.Fatal(err)
	}
	s.add(t, "a")
	mesh.control = s.named["a"] // which the mesh stops
	s.add(t, "b")
	var err error
	if s.listener, err = listening(address); err != nil {
		t.Fatal(err)
	}
	s.relaying.Go(s.accept)
	t.Cleanup(func() {
		_ = s.listener.Close()
		s.cut("a")
		s.kill(t, "b")
		s.relaying.Wait()
	})
	return s
}

// add starts a server of the mesh.
func (s *servers) add(t *testing.T, name string) {
	t.Helper()
	server, err := serve.New(serve.Config{
		Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", Authority: s.mesh.authority, Placed: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.SetMesh(s.mesh.Placed()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &control{server, cancel, make(chan error, 1)}
	go func() { c.done <- server.Run(ctx) }()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.named[name] = c
}

// kill ends a server and all of its connections at once.
func (s *servers) kill(t *testing.T, name string) {
	t.Helper()
	s.mu.Lock()
	c := s.named[name]
	delete(s.named, name)
	s.mu.Unlock()
	s.cut(name)
	if err := c.stop(); err != nil {
		t.Error(err)
	}
}

// cut closes the connections to a server.
func (s *servers) cut(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn, of := range s.open {
		if of == name {
			_ = conn.Close()
		}
	}
}

func (s *servers) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		names := slices.Sorted(maps.Keys(s.named))
		s.accepted++
		name := names[s.accepted%len(names)]
		to := s.named[name].server.Addr()
		s.open[conn] = name
		s.mu.Unlock()
		s.relaying.Go(func() { s.relay(conn, to) })
	}
}

// relay passes on what both ends send, until one of them closes.
func (s *servers) relay(conn net.Conn, to string) {
	defer func() {
		s.mu.Lock()
		delete(s.open, conn)
		s.mu.Unlock()
		_ = conn.Close()
	}()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	var sending sync.WaitGroup
	sending.Go(func() {
		_, _ = io.Copy(server, conn)
		_ = server.Close()
	})
	_, _ = io.Copy(conn, server)
	_ = conn.Close()
	sending.Wait()
}

// counts are the proxies of each server.
func (s *servers) counts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int{}
	for name, c := range s.named {
		out[name] = c.server.Connected()
	}
	return out
}

// complete waits until each of the proxies is connected to one server, and has all that it is to have.
func (s *servers) complete(t *testing.T, proxies int) map[string]int {
	t.Helper()
	s.await(t, "every proxy is connected, and has everything", func() bool {
		connected, behind := 0, 0
		for _, c := range s.named {
			r := c.server.Rollout()
			connected, behind = connected+r.Proxies, behind+r.Behind
		}
		return connected == proxies && behind == 0
	})
	return s.counts()
}

// await waits until something is so, which is asked with the lock held. It takes longer than [eventually] does: an
// Envoy tries to connect again after up to 30 seconds.
func (s *servers) await(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(poll) {
		s.mu.Lock()
		is := so()
		s.mu.Unlock()
		if is {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it never came: %s; there are %v", what, s.counts())
		}
	}
}

// balance has every server balance, as servers in Kubernetes do every 5 seconds, for a minute.
func (s *servers) balance(t *testing.T, proxies int, from time.Time) {
	t.Helper()
	for at := range 12 {
		counts := s.complete(t, proxies)
		t.Logf("%ds: %v", 5*at, counts)
		s.mu.Lock()
		named, accepted := maps.Clone(s.named), s.accepted
		s.mu.Unlock()
		for name, c := range named {
			others := maps.Clone(counts)
			delete(others, name)
			accepted += c.server.Balance(others, from.Add(time.Duration(at)*5*time.Second))
		}
		s.await(t, "whose connections were ended connects again", func() bool { return s.accepted >= accepted })
	}
}

// TestServersShareProxies kills one of two servers under load, and starts it again: the Envoys go to the other one, are
// balanced within a minute after the first is back, and no request fails meanwhile (istio/istio#11181).
func TestServersShareProxies(t *testing.T) {
	mesh := start(t, inline(t, map[string]string{"mesh.cue": served}))
	var loads []*load
	for _, name := range []string{"one", "two", "three"} {
		url := "http://" + name + ":8081/"
		loads = append(loads, startPacedLoad(t, mesh.As("client").Client(), url, 1, 5*time.Millisecond))
	}
	proxies := len(mesh.proxies)
	s := behindOneAddress(t, mesh)
	s.complete(t, proxies)
	s.kill(t, "b")
	if counts := s.complete(t, proxies); counts["a"] != proxies {
		t.Fatalf("without the other server, %v", counts)
	}
	begun := time.Now()
	s.balance(t, proxies, begun) // alone
	s.add(t, "b")
	s.balance(t, proxies, begun.Add(time.Hour))
	counts := s.complete(t, proxies)
	if fewer := min(counts["a"], counts["b"]); fewer < proxies/2 {
		t.Errorf("of %d proxies, the servers have %v a minute after one is back", proxies, counts)
	}
	for _, l := range loads {
		eventually(t, "a load", func() bool { return l.sent.Load() >= 100 })
		l.end(t)
	}
}
