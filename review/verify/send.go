package verify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/host/app"
	"github.com/meshc/meshc/host/local"
)

// sendTime bounds a request.
const sendTime = 30 * time.Second

// sender sends the requests of tests through a mesh that runs.
type sender struct {
	mesh   *local.Mesh
	tokens *issuers
}

// startSender starts a mesh, with issuers of tokens that stand in for its own.
func startSender(ctx context.Context, m *ir.Mesh, envoy, outside string) (*sender, error) {
	tokens, err := newIssuers(m)
	if err != nil {
		return nil, err
	}
	running, err := local.Start(ctx, local.Options{Mesh: tokens.mesh, Envoy: envoy, Outside: outside})
	if err != nil {
		return nil, fmt.Errorf("the mesh does not run: %w", err)
	}
	return &sender{mesh: running, tokens: tokens}, nil
}

// answer is what came back; of status 0 is a connection that was closed without.
type answer struct {
	status           int
	grpc             string // status of gRPC; empty for none
	service, version string // of the application that it is of; empty for a proxy's own
}

// allowed reports whether it was let in: a proxy refuses a request of gRPC with a status of that (gRPC over HTTP/2).
func (a *answer) allowed() bool {
	return a.status > 0 && a.status < 400 && (a.service != "" || a.grpc == "" || a.grpc == "0")
}

// errClosed is a connection that was closed before anything was answered.
var errClosed = errors.New("the connection was closed")

// errBroken is an answer that began and did not end.
var errBroken = errors.New("the answer was broken off")

// meets reports whether it is as is expected.
func (a *answer) meets(e *ir.Expectation) bool {
	return a.allowed() == e.Allowed && (e.Service == "" || a.service == e.Service) && (e.Version == "" ||
		a.version == e.Version)
}

func (a *answer) text() string {
	if a.status == 0 {
		return "is closed by a proxy"
	}
	if a.service == "" && a.grpc != "" {
		return fmt.Sprintf("is answered %d by a proxy, with the status %s of gRPC", a.status, a.grpc)
	}
	if a.service == "" {
		return fmt.Sprintf("is answered %d by a proxy", a.status)
	}
	return fmt.Sprintf("is answered %d by %s %s", a.status, a.service, a.version)
}

func (s *sender) send(ctx context.Context, t *ir.Test) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	client, base, err := s.client(t)
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, t.Method, base, nil)
	if err != nil {
		return nil, err
	}
	r.URL.Opaque = t.Path // as it is written, with whatever escapes
	if strings.HasPrefix(t.Path, "//") {
		r.URL.Opaque = "//" + t.Host + t.Path
	}
	sent := try.OfTest(t)
	r.Host = sent.HostHeader()
	for _, h := range t.Headers {
		r.Header.Add(h.Name, h.Value)
	}
	if t.Issuer != "" {
		token, err := s.tokens.sign(t.Issuer, t.Claims)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(r)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		return nil, errClosed
	} else if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusSwitchingProtocols { // what follows has no end
		a := &answer{status: response.StatusCode}
		a.service, a.version, _ = strings.Cut(response.Header.Get(app.AnsweredBy), " ")
		return a, nil
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBroken, err)
	}
	a := &answer{status: response.StatusCode, grpc: cmp.Or(response.Header.Get("grpc-status"),
		response.Trailer.Get("grpc-status"))}
	var report app.Report
	if json.Unmarshal(body, &report) == nil {
		a.service, a.version = report.Service, report.Version
	}
	return a, nil
}

// client sends a test's request, and base is where: a service by its own proxy, or where it calls no such service past
// that; or somebody outside who comes to the listener of a gateway.
func (s *sender) client(t *ir.Test) (client *http.Client, base string, err error) {
	base = fmt.Sprintf("%s://%s:%d", t.Scheme, t.Host, t.Port)
	m := s.tokens.mesh
	if t.FromKind == ir.KindService {
		for _, u := range m.Service(t.From).Uses {
			for _, name := range u.Ports {
				if s.names(&u, t.Host) && s.port(&u, name).Number == t.Port {
					return s.mesh.As(t.From).Client(), base, nil
				}
			}
		}
		callee := m.Service(t.Host)
		if callee == nil {
			return nil, "", fmt.Errorf("%s does not use %s", t.From, t.Host)
		}
		for _, p := range callee.Ports {
			if p.Number == t.Port {
				return s.mesh.Past(t.From, t.Host, p.Name)
			}
		}
	}
	g := s.mesh.Gateway(t.From)
	at := ""
	for _, l := range m.Gateway(t.From).Listeners {
		if l.Port == t.Port && (l.TLS != nil) == (t.Scheme == "https") {
			if u, err := url.Parse(g.Listeners[l.Name]); err == nil {
				at = u.Host
			}
		}
	}
	transport := &http.Transport{
		TLSClientConfig: g.TLS, DisableCompression: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, at)
		},
	}
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}, base, nil
}

// names reports whether a host is that of a use: the name of a service, or a host of an external.
func (s *sender) names(u *ir.Use, host string) bool {
	if u.External {
		return slices.Contains(s.tokens.mesh.External(u.To).Hosts, host)
	}
	return u.To == host
}

// port is the callee's of that name.
func (s *sender) port(u *ir.Use, name string) *ir.Port {
	if u.External {
		return s.tokens.mesh.External(u.To).Port(name)
	}
	return s.tokens.mesh.Service(u.To).Port(name)
}
