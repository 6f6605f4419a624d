package serve_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/meshc/meshc/serve"
)

// fleet are servers of one mesh, and their proxies, which connect to one after the other, as to a Service of
// Kubernetes.
type fleet struct {
	first *running // of whose authority all are

	mu      sync.Mutex
	servers map[string]*running
	order   []string
	next    int
}

// add starts a server that takes proxies.
func (f *fleet) add(t *testing.T, name string) {
	t.Helper()
	r := start(t, func(c *serve.Config) {
		if f.first != nil {
			c.Authority = f.first.authority
		}
	})
	if f.first == nil {
		f.first = r
	} else {
		r.authority = f.first.authority
	}
	if err := r.SetMesh(compileSpec(t, spec)); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.servers[name], f.order = r, append(f.order, name)
}

// remove stops a server.
func (f *fleet) remove(t *testing.T, name string) {
	t.Helper()
	f.mu.Lock()
	r := f.servers[name]
	delete(f.servers, name)
	var rest []string
	for _, other := range f.order {
		if other != name {
			rest = append(rest, other)
		}
	}
	f.order = rest
	f.mu.Unlock()
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

// dial connects to the server whose turn it is.
func (f *fleet) dial(ctx context.Context, _ string) (net.Conn, error) {
	f.mu.Lock()
	f.next++
	at := f.servers[f.order[f.next%len(f.order)]].Addr()
	f.mu.Unlock()
	return new(net.Dialer).DialContext(ctx, "tcp", at)
}

// connected are the proxies of each server.
func (f *fleet) connected() (counts map[string]int, all int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	counts = map[string]int{}
	for name, r := range f.servers {
		counts[name] = r.Connected()
		all += counts[name]
	}
	return counts, all
}

// proxy is one that connects again whenever its stream ends, until the context does.
func (f *fleet) proxy(ctx context.Context, t *testing.T, id string) {
	conn := f.first.dial(t, "frontend", time.Hour, grpc.WithContextDialer(f.dial),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{
			BaseDelay: 10 * time.Millisecond, Multiplier: 1, MaxDelay: 10 * time.Millisecond,
		}, MinConnectTimeout: time.Minute}))
	for ctx.Err() == nil {
		stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx,
			grpc.WaitForReady(true))
		if err != nil {
			continue
		}
		err = stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: node(id), TypeUrl: clusters})
		for err == nil {
			var answer *discoveryv3.DeltaDiscoveryResponse
			if answer, err = stream.Recv(); err == nil {
				err = stream.Send(&discoveryv3.DeltaDiscoveryRequest{
					TypeUrl: answer.TypeUrl, ResponseNonce: answer.Nonce,
				})
			}
		}
	}
}

// balance has every server balance, as it does every 5 seconds, for a minute. No connection may be ended once the
// proxies are balanced, and after the minute they must be.
func (f *fleet) balance(t *testing.T, proxies int, from time.Time) {
	t.Helper()
	within := func(counts map[string]int) bool {
		share := (proxies + len(counts) - 1) / len(counts)
		for _, n := range counts {
			if n > share+share/10 {
				return false
			}
		}
		return true
	}
	for now := from; !now.After(from.Add(time.Minute)); now = now.Add(5 * time.Second) {
		eventually(t, "all proxies are connected", func() bool { _, all := f.connected(); return all == proxies })
		counts, _ := f.connected()
		balanced := within(counts)
		for name, r := range f.servers {
			others := map[string]int{}
			for other, n := range counts {
				if other != name {
					others[other] = n
				}
			}
			if ended := r.Balance(others, now); balanced && ended > 0 {
				t.Errorf("%d connections are ended of %v", ended, counts)
			}
		}
	}
	eventually(t, "all proxies are connected", func() bool { _, all := f.connected(); return all == proxies })
	if counts, _ := f.connected(); !within(counts) {
		t.Errorf("after a minute the servers have %v", counts)
	}
}

// TestBalance kills one of three servers and starts it again: after a minute each has its share of the proxies. In
// Istio (istio/istio#11181) all of them stayed with the servers that were left.
func TestBalance(t *testing.T) {
	const proxies = 60
	f := &fleet{servers: map[string]*running{}}
	for _, name := range []string{"a", "b", "c"} {
		f.add(t, name)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for i := range proxies {
		running.Go(func() { f.proxy(ctx, t, fmt.Sprintf("service/frontend/f-%d", i)) })
	}
	now := time.Now()
	f.balance(t, proxies, now)
	f.remove(t, "c")
	f.balance(t, proxies, now.Add(time.Hour))
	f.add(t, "c")
	if counts, _ := f.connected(); counts["c"] != 0 {
		t.Fatalf("%v", counts)
	}
	f.balance(t, proxies, now.Add(2*time.Hour))
	if ended := f.servers["a"].Balance(map[string]int{"b": 0, "c": 0}, now.Add(3*time.Hour)); ended != 0 {
		t.Errorf("%d connections are ended long after the last change of the servers", ended)
	}
}
