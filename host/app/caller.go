package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Caller calls upstreams by their names in the mesh, through the application's
// own proxy.
type Caller struct {
	upstreams atomic.Pointer[upstreams]
	roots     *x509.CertPool
	dialer    net.Dialer
	// http1 and http2 speak what the upstream speaks.
	http1, http2 *http.Transport
}

// NewCaller may call the upstreams. Roots check those that speak TLS; nil for
// the system's.
func NewCaller(list []Upstream, roots *x509.CertPool) *Caller {
	c := &Caller{roots: roots}
	c.Set(list)
	c.http1 = c.transport(false)
	c.http2 = c.transport(true)
	return c
}

// Set changes whom the caller may call.
func (c *Caller) Set(list []Upstream) {
	u := index(list)
	c.upstreams.Store(&u)
}

// Close closes idle connections.
func (c *Caller) Close() {
	c.http1.CloseIdleConnections()
	c.http2.CloseIdleConnections()
}

// Dial connects to an upstream, HOST:PORT.
func (c *Caller) Dial(ctx context.Context, authority string) (net.Conn, error) {
	up, err := c.upstreams.Load().lookUp(authority)
	if err != nil {
		return nil, err
	}
	return c.dialer.DialContext(ctx, "tcp", up.Address)
}

// DialTLS is Dial for an upstream that speaks TLS itself.
func (c *Caller) DialTLS(ctx context.Context, authority string) (net.Conn, error) {
	conn, err := c.Dial(ctx, authority)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(authority)
	if err != nil {
		return nil, err
	}
	t := tls.Client(conn, &tls.Config{ServerName: host, RootCAs: c.roots})
	if err := t.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return t, nil
}

// RoundTrip sends a request to the upstream that its URL names: HTTP/2 to those
// that speak it, and HTTP/1.1 to the others.
func (c *Caller) RoundTrip(r *http.Request) (*http.Response, error) {
	authority := r.URL.Host
	if r.URL.Port() == "" {
		authority = net.JoinHostPort(r.URL.Host, defaultPort(r.URL.Scheme))
	}
	up, err := c.upstreams.Load().lookUp(authority)
	if err != nil {
		return nil, err
	}
	if up.Protocol == "http2" || up.Protocol == "grpc" {
		return c.http2.RoundTrip(r)
	}
	return c.http1.RoundTrip(r)
}

// Client sends requests to URLs as "http://cart:7070/". It follows no redirect.
func (c *Caller) Client() *http.Client {
	return &http.Client{Transport: c, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// GRPC is a connection for gRPC to an upstream, HOST:PORT. The caller closes it.
func (c *Caller) GRPC(authority string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+authority,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(c.Dial))
}

func (c *Caller) transport(http2 bool) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetUnencryptedHTTP2(http2)
	dial := func(ctx context.Context, _, authority string) (net.Conn, error) { return c.Dial(ctx, authority) }
	dialTLS := func(ctx context.Context, _, authority string) (net.Conn, error) { return c.DialTLS(ctx, authority) }
	return &http.Transport{
		Protocols: protocols, DialContext: dial, DialTLSContext: dialTLS, MaxIdleConnsPerHost: 64,
		DisableCompression: true,
	}
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}
