//go:build e2e

package plants

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/meshc/meshc/host/local"
)

// instances are those of the services whose endpoints come from files. Each has an address of its own, which leads to
// one of a few Envoys: 20 addresses cost less than 20 Envoys, and each can fail alone.
type instances struct {
	directory string
	loopback  *local.Loopback
	all       map[string][]*instance // by service
	stop      chan struct{}
	churned   sync.WaitGroup
	freeze    func() // ends the churn
}

// instance is an address that leads to the Envoy of a version.
type instance struct {
	version, zone string
	labels        map[string]string
	listener      net.Listener

	mu    sync.Mutex
	to    string
	cuts  bool // connections break off soon
	open  map[net.Conn]bool
	ended bool
}

// zones are where the instances are.
var zones = []string{"east-1", "east-2", "east-3"}

// newInstances listens at the addresses and writes the files.
func newInstances(t *testing.T, directory string) *instances {
	t.Helper()
	loopback, err := local.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	s := &instances{directory: directory, loopback: loopback, all: map[string][]*instance{}, stop: make(chan struct{})}
	s.freeze = sync.OnceFunc(func() { close(s.stop); s.churned.Wait() })
	t.Cleanup(func() {
		s.freeze()
		for _, list := range s.all {
			for _, i := range list {
				i.close()
			}
		}
		_ = loopback.Close()
	})
	for n := range 20 {
		color := "blue"
		if n == 7 {
			color = "green"
		}
		s.add(t, "catalog", color, "color", n)
	}
	for n := range 6 {
		s.add(t, "search", fmt.Sprintf("v%d", n/3+1), "version", n)
	}
	for service, list := range s.all {
		s.write(t, service, list)
	}
	return s
}

func (s *instances) add(t *testing.T, service, version, label string, n int) *instance {
	t.Helper()
	l, err := net.Listen("tcp", joined(s.loopback.Next(), 7000))
	if err != nil {
		t.Fatal(err)
	}
	i := &instance{
		version: version, zone: zones[n%len(zones)], labels: map[string]string{label: version}, listener: l,
		open: map[net.Conn]bool{},
	}
	s.all[service] = append(s.all[service], i)
	go i.accept()
	return i
}

// begin has the addresses lead to the Envoys of the mesh, and some of them come and go from now on.
func (s *instances) begin(t *testing.T, f *field) {
	t.Helper()
	for service, list := range s.all {
		for _, i := range list {
			i.leads(endpoint(f.Placed().Service(service), i.version))
		}
	}
	choice := rand.New(rand.NewPCG(f.rand.Uint64(), 0))
	s.churned.Go(func() {
		tick := time.NewTicker(300 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-s.stop:
				return
			case <-tick.C:
			}
			some := slices.DeleteFunc(slices.Clone(s.all["catalog"]), func(i *instance) bool {
				return i.version == "blue" && choice.IntN(5) == 0
			})
			s.write(t, "catalog", some)
		}
	})
}

// write replaces the file of a service.
func (s *instances) write(t *testing.T, service string, list []*instance) {
	t.Helper()
	s.writeText(t, service, text(list))
}

// text is the content of a file of endpoints.
func text(list []*instance) string {
	out := []map[string]any{}
	for _, i := range list {
		at := i.listener.Addr().(*net.TCPAddr)
		out = append(out, map[string]any{
			"address": at.IP.String(), "port": at.Port, "local": true, "zone": i.zone, "labels": i.labels,
		})
	}
	data, err := json.Marshal(out)
	if err != nil {
		panic(err) // there is nothing in it that JSON has not
	}
	return string(data)
}

// writeText replaces the file by that text.
func (s *instances) writeText(t *testing.T, service, text string) {
	t.Helper()
	next := filepath.Join(s.directory, "."+service)
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		t.Error(err)
	}
	if err := os.Rename(next, s.file(service)); err != nil {
		t.Error(err)
	}
}

func (s *instances) file(service string) string { return filepath.Join(s.directory, service+".json") }

// leads has the address lead there from now on.
func (i *instance) leads(to string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.to = to
}

// breaks has connections to the address break off soon.
func (i *instance) breaks() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.cuts = true
	i.cut()
}

// close ends all that goes by the address.
func (i *instance) close() {
	i.listener.Close()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ended = true
	i.cut()
}

// cut ends the open connections.
func (i *instance) cut() {
	for c := range i.open {
		c.Close()
	}
}

// brief is how long a connection lasts that breaks off soon.
const brief = 60 * time.Millisecond

func (i *instance) accept() {
	for {
		from, err := i.listener.Accept()
		if err != nil {
			return
		}
		i.mu.Lock()
		to, cuts := i.to, i.cuts
		i.mu.Unlock()
		go i.pass(from, to, cuts)
	}
}

// pass is a connection from its beginning to its end.
func (i *instance) pass(from net.Conn, address string, cuts bool) {
	defer from.Close()
	to, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer to.Close()
	if cuts {
		defer time.AfterFunc(brief, func() { from.Close(); to.Close() }).Stop()
	}
	i.mu.Lock()
	i.open[from] = true
	if i.ended {
		from.Close()
	}
	i.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(to, from) // who has ended it is all the same
		to.Close()
	}()
	_, _ = io.Copy(from, to)
	from.Close()
	<-done
	i.mu.Lock()
	delete(i.open, from)
	i.mu.Unlock()
}
