//go:build e2e

package plants

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

// actor is the application of one instance, which does what a plant wants.
type actor struct {
	address string
	client  *http.Client // as the application calls others
	handler http.Handler
	server  *http.Server
	done    chan struct{}

	mu     sync.Mutex
	delay  time.Duration
	status int // of each answer; 0 for the usual one
	keys   string
	served uint64
}

// delays are how long the applications take when nothing is wrong.
var delays = map[string]time.Duration{
	"stock": 15 * time.Millisecond, "catalog": 15 * time.Millisecond, "search": 15 * time.Millisecond,
	"vault": 80 * time.Millisecond,
}

// below are the calls that a service makes for each request.
var below = map[string]string{"web": "http://cart:7070/carts/1", "cart": "http://stock:7071/items/1"}

// act puts actors in the place of all applications.
func (f *field) act(t *testing.T) {
	t.Helper()
	for _, s := range f.Placed().Services {
		for _, e := range s.Workload.Endpoints {
			if len(s.Ports) == 0 {
				continue
			}
			a := &actor{
				address: joined(e.Address, e.Targets[s.Ports[0].Name]), delay: delays[s.Name],
				client: f.Backend(s.Name, e.Name).Caller().Client(),
			}
			a.handler = a.plays(s.Name)
			f.Backend(s.Name, e.Name).Close()
			a.start(t, true)
			t.Cleanup(a.stop)
			f.actors[s.Name+"/"+e.Name] = a
		}
	}
}

// start listens where the application listened; also for HTTP/2, unless it is one that does not know that.
func (a *actor) start(t *testing.T, http2 bool) {
	t.Helper()
	var l net.Listener
	eventually(t, "an application's port", func() string {
		var err error
		if l, err = net.Listen("tcp", a.address); err != nil && errors.Is(err, syscall.EADDRINUSE) {
			return err.Error()
		}
		if err != nil {
			t.Fatal(err)
		}
		return ""
	})
	s := &http.Server{Handler: a.handler, Protocols: new(http.Protocols), ReadHeaderTimeout: 10 * time.Second}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(http2)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }() // it ends with http.ErrServerClosed
	a.server, a.done = s, done
}

func (a *actor) stop() {
	a.server.Close()
	<-a.done
}

// does has the application answer so from now on.
func (a *actor) does(delay time.Duration, status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.delay, a.status = delay, status
}

// count is the number of requests that it has answered.
func (a *actor) count() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.served
}

func (a *actor) plays(service string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.served++
		delay, status, keys := a.delay, a.status, a.keys
		a.mu.Unlock()
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
			return
		}
		switch {
		case status != 0:
		case service == "keys":
			_, _ = io.WriteString(w, keys) // a caller that goes away does not concern it
			return
		case strings.Contains(r.URL.Path, "/nonsense"):
			status = http.StatusBadRequest
		default:
			status = a.calls(r.Context(), service)
		}
		w.WriteHeader(status)
	}
}

// calls makes the call that belongs to a request, and says how it is to be answered.
func (a *actor) calls(ctx context.Context, service string) int {
	if url := below[service]; url != "" {
		if status, err := get(ctx, a.client, url); err != nil || status != http.StatusOK {
			return http.StatusInternalServerError
		}
	}
	return http.StatusOK
}

// get sends a request, whose headers are pairs of name and value.
func get(ctx context.Context, c *http.Client, url string, headers ...string) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := c.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

// endpoint is where the mesh reaches a service's only port at an instance.
func endpoint(s *ir.Service, instance string) string {
	for _, e := range s.Workload.Endpoints {
		if e.Name == instance {
			return joined(e.Address, e.Ports[s.Ports[0].Name])
		}
	}
	return ""
}

func joined(address string, port uint16) string {
	return net.JoinHostPort(address, strconv.Itoa(int(port)))
}
