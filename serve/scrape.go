package serve

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/publickey"
	"github.com/meshc/meshc/identity/svid"
)

// scrapeListener accepts connections of the mesh's scraper (mesh.telemetry.metrics.scraper) alone, and closes others.
// The mesh of the moment says who that is, and whether it proves its identity by mutual TLS. While there is no mesh, or
// nobody who reads metrics from elsewhere, it closes all.
type scrapeListener struct {
	net.Listener
	server *Server
}

// scraping is the HTTP server at that address: GET /metrics, and nothing else of the administrator's API. A connection
// is for one request, so that each one is decided by the mesh of its moment.
func (s *Server) scraping() *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		MaxHeaderBytes: maxHeaders,
		ErrorLog:       slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo), // whoever connects could fill the log
	}
	server.SetKeepAlivesEnabled(false)
	return server
}

// Accept returns the next connection that may be the scraper's. Its identity is checked in the handshake.
func (l *scrapeListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		m := l.server.staging.mesh()
		if m == nil || m.ReadFrom() == nil || !comesFrom(conn, m.ReadFrom().IPRanges) {
			_ = conn.Close() // and that is the answer
			continue
		}
		if m.ReadFrom().Identity.IsZero() {
			return conn, nil
		}
		return tls.Server(conn, l.server.scraperTLS(m)), nil
	}
}

// comesFrom reports whether a connection comes from one of the ranges; from anywhere where there are none.
func comesFrom(conn net.Conn, ranges []netip.Prefix) bool {
	if len(ranges) == 0 {
		return true
	}
	at, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	return err == nil && slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(at.Addr().Unmap()) })
}

// scraperTLS takes the scraper's certificate alone, signed by the authority of its trust domain, and not a revoked one.
func (s *Server) scraperTLS(m *ir.Mesh) *tls.Config {
	want := m.ReadFrom().Identity
	return s.httpTLS(tls.RequireAnyClientCert, func(shown [][]byte) error {
		roots, err := s.rootsOf(m, want.TrustDomain().Name())
		if err != nil {
			return err
		}
		chain, err := publickey.VerifyPeer(shown, roots, x509.ExtKeyUsageClientAuth)
		if err != nil {
			return err
		}
		id, err := svid.Identity(chain[0])
		switch {
		case err != nil:
			return err
		case id != want:
			return fmt.Errorf("%s is not the scraper", id)
		case s.revoked.revoked(chain[0]):
			return errRevoked
		}
		return nil
	})
}

// httpTLS is for a listener of HTTP with the server's own certificate. What clients show is verified once all of its
// keys are known to be good.
func (s *Server) httpTLS(clients tls.ClientAuthType, verify func(shown [][]byte) error) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{"http/1.1"},
		ClientAuth: clients,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return s.identity.certificate()
		},
		VerifyPeerCertificate:  func(shown [][]byte, _ [][]*x509.Certificate) error { return verify(shown) },
		SessionTicketsDisabled: true, // a session would outlive its certificate
	}
}

// rootsOf are the roots that may sign identities of a trust domain.
func (s *Server) rootsOf(m *ir.Mesh, domain string) (*x509.CertPool, error) {
	if domain == m.TrustDomain {
		return s.identity.roots()
	}
	for _, d := range m.TrustDomains {
		if d.Name != domain {
			continue
		}
		if pool, ok := publickey.Pool([]byte(d.Bundle)); ok {
			return pool, nil
		}
	}
	return nil, errors.New("nobody is trusted to sign identities of " + domain)
}
