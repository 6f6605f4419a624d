package local

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/host/app"
)

// Running is a mesh that runs on this machine, in this process or another, as who sends requests through its proxies
// needs it.
type Running struct {
	// Mesh is the one that runs, as it was compiled, and Placed has its addresses.
	Mesh, Placed *ir.Mesh

	stubs    *stubAuthority
	tokenKey *ecdsa.PrivateKey // nil where no tokens are signed
}

// Running is the mesh as it is now.
func (m *Mesh) Running() *Running {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Running{Mesh: m.source, Placed: m.placed, stubs: m.applications.stubs, tokenKey: m.tokenKey}
}

// Way is how a member's requests come to somebody.
type Way struct {
	// From is the service that sends, or the gateway by which somebody outside comes.
	From ir.Ref
	// Scheme is "http" or "https", and Host is without a port. Port is 0 for the callee's only one, or else the
	// scheme's.
	Scheme, Host string
	Port         uint16
	// ServerName is the name in the TLS handshake with a gateway; empty for Host.
	ServerName string
	// HTTP2 has a gateway be spoken to in HTTP/2. Services speak what the port that they call does.
	HTTP2 bool
}

// Client sends requests that way, to the base "http://HOST:PORT": a service by its own proxy, or past that to a service
// which it does not use. It follows no redirect. An error says that there is no such way.
func (r *Running) Client(w Way) (client *http.Client, base string, err error) {
	if w.From.Kind == ir.KindService {
		client, base, err = r.ofService(w)
	} else {
		client, base, err = r.ofGateway(w)
	}
	if err != nil {
		return nil, "", err
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client, base, nil
}

func (r *Running) ofService(w Way) (*http.Client, string, error) {
	from := r.Placed.Service(w.From.Name)
	if from == nil {
		return nil, "", fmt.Errorf("the mesh that runs has no service %q", w.From.Name)
	}
	// What runs is not redirected: a service's proxy listens for each callee apart.
	for i := range from.Uses {
		use := &from.Uses[i]
		for _, name := range use.Ports {
			port, hosts := callee(r.Placed, use, name)
			number := w.port()
			if w.Port == 0 && w.Scheme == "http" && len(use.Ports) == 1 {
				number = port.Number
			}
			if port.Number == number && goesBy(hosts, w.Host) {
				return r.as(from), fmt.Sprintf("%s://%s", w.Scheme, join(w.Host, number)), nil
			}
		}
	}
	to := r.Placed.Service(w.Host)
	if to == nil {
		return nil, "", fmt.Errorf("%s does not use %s", w.From.Name, w.Host)
	}
	for _, p := range to.Ports {
		if p.Number == w.port() || w.Port == 0 && len(to.Ports) == 1 {
			return r.Past(from.Name, to.Name, p.Name)
		}
	}
	return nil, "", fmt.Errorf("%s has no port %d", w.Host, w.port())
}

// as calls as a service's first instance does.
func (r *Running) as(from *ir.Service) *http.Client {
	config := serviceApplication(r.Placed, from, &from.Workload.Endpoints[0])
	return app.NewCaller(config.Upstreams, r.stubs.roots).Client()
}

func (r *Running) ofGateway(w Way) (*http.Client, string, error) {
	linked, placed := r.Mesh.Gateway(w.From.Name), r.Placed.Gateway(w.From.Name)
	if linked == nil || placed == nil {
		return nil, "", fmt.Errorf("the mesh that runs has no gateway %q", w.From.Name)
	}
	i := slices.IndexFunc(linked.Listeners, func(l ir.Listener) bool {
		return l.Port == w.port() && (l.TLS != nil) == (w.Scheme == "https")
	})
	if i < 0 {
		return nil, "", fmt.Errorf("%s has no listener for %s on port %d", w.From, w.Scheme, w.port())
	}
	at := join(placed.Address, placed.Listeners[i].Port)
	config := r.stubs.client()
	config.ServerName = w.ServerName
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!w.HTTP2)
	protocols.SetHTTP2(w.HTTP2)
	protocols.SetUnencryptedHTTP2(w.HTTP2)
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: config, DisableCompression: true, Protocols: protocols,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, at)
		},
	}}, fmt.Sprintf("%s://%s", w.Scheme, join(w.Host, w.port())), nil
}

func (w *Way) port() uint16 {
	switch {
	case w.Port != 0:
		return w.Port
	case w.Scheme == "https":
		return 443
	}
	return 80
}

// goesBy reports whether a host is one of a callee's, of which "*.DOMAIN" is for all below a domain.
func goesBy(hosts []string, host string) bool {
	host = strings.ToLower(host)
	return slices.ContainsFunc(hosts, func(h string) bool {
		domain, wild := strings.CutPrefix(h, "*")
		return h == host || wild && strings.HasSuffix(host, domain)
	})
}
