package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/render/live"
	"github.com/meshc/meshc/render/meshfile"
	"github.com/meshc/meshc/serve"
)

// command is a line that the load generator writes to the server's process. Exactly one field is set.
type command struct {
	// Pods is a service whose second pod is now that of the Event.
	Pods  string `json:"pods,omitempty"`
	Event int    `json:"event,omitempty"`
	// Mesh is the mesh.json to serve from now on.
	Mesh  string `json:"mesh,omitempty"`
	Usage bool   `json:"usage,omitempty"`
}

// usage is the answer to [command.Usage]: CPU in seconds, memory in bytes.
type usage struct {
	Serve  string  `json:"serve,omitempty"` // addresses of the server, and of one that makes handshakes only
	Bare   string  `json:"bare,omitempty"`
	CPU    float64 `json:"cpu"`
	Heap   uint64  `json:"heap"`
	RSS    uint64  `json:"rss"`
	Failed string  `json:"failed,omitempty"`
}

// benchNamespace is that of all generated services.
const benchNamespace = "bench"

// podsFor are the pods of a service after an event: the address of the second one says which event that was.
func podsFor(service string, event int) []live.Endpoint {
	at := func(i int, address string) live.Endpoint {
		return live.Endpoint{Endpoint: ir.Endpoint{
			Name: fmt.Sprintf("%s-%d", service, i), Address: address, Zone: "a", Weight: 1,
			Ports: map[string]uint16{"http": 8080, "admin": 9090}, Labels: map[string]string{"version": "v1"},
		}}
	}
	return []live.Endpoint{
		at(0, "192.0.2.1"), at(1, fmt.Sprintf("10.%d.%d.%d", event>>16&255, event>>8&255, event&255)),
	}
}

// served is the process of the server.
type served struct {
	*serve.Server
	source meshfile.Followed
	mesh   *ir.Mesh

	mu      sync.Mutex
	pending map[string]int
	news    chan struct{}
}

// serveChild runs a server that does what its standard input says.
func serveChild(caDir, mesh string) error {
	authority, err := ca.Open(caDir, secret.Value{})
	if err != nil {
		return err
	}
	s, err := serve.New(serve.Config{
		Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", Authority: authority, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	c := &served{Server: s, pending: map[string]int{}, news: make(chan struct{}, 1)}
	if err := c.load(mesh); err != nil {
		return err
	}
	pods := map[string][]live.Endpoint{}
	for _, service := range c.mesh.Services {
		pods[service.PlainName()] = podsFor(service.PlainName(), 0)
	}
	s.SetPods(benchNamespace, pods)
	bare, err := bareTLS(authority, c.mesh)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	failed := make(chan error, 1)
	go func() { failed <- s.Run(ctx) }()
	go c.events()
	out := json.NewEncoder(os.Stdout)
	answer := c.usage()
	answer.Serve, answer.Bare = s.Addr(), bare
	if err := out.Encode(answer); err != nil {
		return err
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var do command
		if err := json.Unmarshal(in.Bytes(), &do); err != nil {
			return err
		}
		switch {
		case do.Pods != "":
			c.mu.Lock()
			c.pending[do.Pods] = do.Event
			c.mu.Unlock()
			select {
			case c.news <- struct{}{}:
			default:
			}
		case do.Mesh != "":
			if err := c.load(do.Mesh); err != nil {
				return err
			}
		case do.Usage:
			if err := out.Encode(c.usage()); err != nil {
				return err
			}
		}
	}
	stop()
	return <-failed
}

// load takes a mesh.json as meshc serve takes one that has changed: members that have not are those of before.
func (c *served) load(name string) (err error) {
	c.source.File = meshfile.File(name)
	if c.mesh, _, err = c.source.Load(context.Background()); err != nil {
		return err
	}
	return c.SetMesh(c.mesh)
}

// events passes on what has come in the meantime.
func (c *served) events() {
	for range c.news {
		c.mu.Lock()
		next := c.pending
		c.pending = map[string]int{}
		c.mu.Unlock()
		pods := map[string][]live.Endpoint{}
		for service, event := range next {
			pods[service] = podsFor(service, event)
		}
		c.ChangePods(benchNamespace, pods)
	}
}

// usage is what the process has used. Memory is that after a garbage collection.
func (c *served) usage() usage {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used) // cannot fail for the process itself
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	u := usage{CPU: seconds(used.Utime) + seconds(used.Stime), RSS: uint64(used.Maxrss) << 10}
	runtime.GC()
	runtime.GC() // what has a finalizer is freed by the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u.Heap = m.HeapAlloc
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return u
}

// bareTLS accepts connections with mutual TLS as the server does, and does nothing else with them.
func bareTLS(authority *ca.Authority, m *ir.Mesh) (address string, err error) {
	own, err := authority.Certificate(m.ServerIdentity(), time.Hour, "127.0.0.1")
	if err != nil {
		return "", err
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{*own}, ClientCAs: authority.Pool(), ClientAuth: tls.RequireAndVerifyClientCert,
		MinVersion: tls.VersionTLS13, NextProtos: slices.Clone([]string{"h2"}),
	})
	if err != nil {
		return "", err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func(conn net.Conn) {
				defer conn.Close()
				_ = conn.(*tls.Conn).Handshake() // the client says what fails
				_, _ = conn.Write([]byte{1})
			}(conn)
		}
	}()
	return listener.Addr().String(), nil
}
