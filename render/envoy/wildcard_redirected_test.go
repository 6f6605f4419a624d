package envoy

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// newRedirectedWildcards has connections of a member redirected, with externals on the same ports: "any" has all names
// below example.com, "inner" those below inner.example.com, and "exact" one name, the last two at 127.0.0.2;
// "remote" has other names, and may not be local.
func newRedirectedWildcards(t *testing.T) (*wildcards, *ir.Mesh) {
	t.Helper()
	w := &wildcards{names: newNameServer(t), reached: &counter{}}
	to := w.servers(t)
	free := freePorts(t, 3)
	client := caller(t, newAuthority(t), free[0])
	client.Explicit, client.Proxy.Interception, client.Proxy.Family = false, ir.InterceptRedirect, ir.IPv4
	client.Proxy.OutboundPort, client.Proxy.InboundPort = free[1], free[2]
	m := &ir.Mesh{
		Settings: ir.Settings{Name: "shop", TrustDomain: trustDomain, Delivery: ir.DeliveryStatic},
		Services: []*ir.Service{client},
	}
	pinned := []ir.Endpoint{{Name: "b", Address: "127.0.0.2", Ports: to, Weight: 1}}
	for _, e := range []*ir.External{
		{Name: "any", Hosts: []string{"*.example.com"}, Local: true},
		{Name: "exact", Hosts: []string{"exact.example.com"}, Local: true, Endpoints: pinned},
		{Name: "inner", Hosts: []string{"*.inner.example.com"}, Local: true, Endpoints: pinned},
		{Name: "remote", Hosts: []string{"*.remote.example"}},
	} {
		e.Roots = w.roots
		e.Ports = []ir.Port{
			{Name: "http", Number: 80, Target: to["http"], Protocol: ir.HTTP},
			{Name: "https", Number: 81, Target: to["https"], Protocol: ir.HTTPS},
			{Name: "tls", Number: 443, Target: to["https"], Protocol: ir.TLS},
		}
		if e.Endpoints != nil {
			e.Endpoints[0].Ports["tls"] = to["https"]
		}
		m.Externals = append(m.Externals, e)
		client.Uses = append(client.Uses, ir.Use{To: e.Name, External: true, Ports: []string{"http", "https", "tls"}})
	}
	boot, err := Bootstrap(m.ServiceScope(client), Options{Instance: "a"})
	if err != nil {
		t.Fatal(err)
	}
	boot = w.names.asksEverywhere(t, boot)
	listenersFrom(t, boot, filepath.Join(t.TempDir(), "listeners.json"))
	start(t, boot)
	return w, m
}

// redirected is what an application hears of a host that connects to an address, at the number of a port.
func redirected(t *testing.T, m *ir.Mesh, address string, number uint16, host string) string {
	t.Helper()
	return redirectedPath(t, m, address, number, host, "/")
}

// redirectedPath is [redirected] of a request with that path, whose answer may be a redirect.
func redirectedPath(t *testing.T, m *ir.Mesh, address string, number uint16, host, path string) string {
	t.Helper()
	conn := redirectedConn(t, m.Services[0].Proxy.OutboundPort, address, number)
	defer conn.Close()
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, ServerName: host},
	}
	scheme := "http"
	if number == 443 {
		scheme = "https"
	}
	return answerFor(transport, scheme+"://"+address+path, host)
}

// TestRedirectedWildcards: a redirected connection reaches the name that its requests ask for, or its handshake,
// wherever it was made to; an external that has the name itself, or a longer domain, goes before; and the answers of
// Envoy are those of try, for random names.
func TestRedirectedWildcards(t *testing.T) {
	w, m := newRedirectedWildcards(t)
	at := map[string]string{"any": "127.0.0.1", "inner": "127.0.0.2", "exact": "127.0.0.2"}
	random := rand.New(rand.NewPCG(1, 2))
	reached := map[string]int{}
	for range 150 {
		host := randomName(random)
		w.names.say(strings.ToLower(strings.TrimSuffix(host, ".")), "127.0.0.1")
		trial, err := try.Try(m, try.Request{
			From: try.Sender{Kind: ir.KindService, Name: "client"}, Method: http.MethodGet, Scheme: "http", Host: host,
			Port: 80, Path: "/",
		})
		if err != nil {
			t.Fatal(err)
		}
		want := ""
		if trial.Answer != nil {
			want = fmt.Sprint(trial.Answer.Status)
		} else {
			to := trial.Reaches[0]
			want = fmt.Sprintf("200 %s has %s", at[to.External], to.Host)
			reached[to.External]++
		}
		address := []string{"192.0.2.7", "169.254.169.254", "127.0.0.2"}[random.IntN(3)]
		eventually(t, host+" by "+address, func() error {
			if got := redirected(t, m, address, 80, host); !strings.HasPrefix(got, want) {
				return fmt.Errorf("got %q, try says %q", got, want)
			}
			return nil
		})
	}
	for external := range at {
		if reached[external] == 0 {
			t.Errorf("no random name was one of %s", external)
		}
	}
	for host, want := range map[string]string{
		"a.example.com": "200 127.0.0.1", "a.inner.example.com": "200 127.0.0.2", "exact.example.com": "200 127.0.0.2",
		"example.com": "closed", "a.example.org": "closed",
	} {
		w.names.say(host, "127.0.0.1")
		if got := redirected(t, m, "192.0.2.7", 443, host); !strings.HasPrefix(got, want) {
			t.Errorf("a handshake with %s: got %q, want %q", host, got, want)
		}
	}
	if got := redirected(t, m, "192.0.2.7", 81, "a.example.com"); !strings.HasPrefix(got, "200 127.0.0.1") {
		t.Errorf("by TLS that is originated: %s", got)
	}
	before := w.reached.get()
	for i, answer := range forbiddenAnswers {
		host := fmt.Sprintf("rebound-%d.remote.example", i)
		w.names.say(host, answer)
		for _, number := range []uint16{80, 81, 443} {
			if got := redirected(t, m, "192.0.2.7", number, host); strings.HasPrefix(got, "200") {
				t.Errorf("port %d leads to %s: %s", number, answer, got)
			}
		}
	}
	if more := w.reached.get() - before; more > 0 {
		t.Errorf("%d connections have come in where nobody may be led", more)
	}
}

// randomName is a host that may be below a wildcard of the test.
func randomName(r *rand.Rand) string {
	one := func(of ...string) string { return of[r.IntN(len(of))] }
	name := ""
	for range r.IntN(3) {
		name += one("a", "B", "x-1", "_y", "inner", "exact", "example", "com") + "."
	}
	return name + one("example.com", "Example.COM", "example.com.", "inner.example.com", "exact.example.com",
		"example.org", "com", "127.0.0.1")
}
