package serve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/meshc/meshc/compiler/publickey"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/identity/svid"
)

// identitySource provides the server's own certificate and trust bundle.
type identitySource interface {
	// take sets the identity of the server, and the lifetime of its certificates.
	take(id spiffeid.ID, lifetime time.Duration) error
	// reissue creates a new certificate if another root's intermediate signs now.
	reissue() error
	certificate() (*tls.Certificate, error)
	roots() (*x509.CertPool, error)
	// renew keeps the certificate valid until the context ends.
	renew(ctx context.Context, log *slog.Logger)
}

// tlsConfig requires a certificate of the mesh from every client (TLS 1.3 only). The identity is checked later, when
// the client says which proxy it is.
func (s *Server) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{"h2"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			certificate, err := s.identity.certificate()
			if err != nil {
				return nil, err
			}
			roots, err := s.identity.roots()
			if err != nil {
				return nil, err
			}
			return &tls.Config{
				MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"},
				Certificates: []tls.Certificate{*certificate},
				ClientAuth:   tls.RequireAnyClientCert, // and verified, once all of its keys are known to be good:
				VerifyPeerCertificate: func(shown [][]byte, _ [][]*x509.Certificate) error {
					_, err := publickey.VerifyPeer(shown, roots, x509.ExtKeyUsageClientAuth)
					return err
				},
				SessionTicketsDisabled: true, // a session would outlive its certificate
			}, nil
		},
	}
}

// callerIdentity returns the SPIFFE ID in the client's certificate.
func callerIdentity(ctx context.Context) (spiffeid.ID, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return spiffeid.ID{}, errors.New("no peer")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) == 0 { // what is there was verified in the handshake
		return spiffeid.ID{}, errors.New("no verified certificate")
	}
	return svid.Identity(info.State.PeerCertificates[0])
}

// issued is an identity whose certificates the embedded authority signs. Its private key never leaves the process.
type issued struct {
	authority *ca.Authority
	hosts     []string // by which gRPC clients look for the server
	mu        sync.Mutex
	id        spiffeid.ID
	lifetime  time.Duration
	current   *tls.Certificate
}

func (i *issued) take(id spiffeid.ID, lifetime time.Duration) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.id, i.lifetime = id, lifetime
	return i.issue()
}

func (i *issued) reissue() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.current == nil {
		return nil // it has not been told yet which identity that is
	}
	return i.issue()
}

func (i *issued) issue() error {
	certificate, err := i.authority.Certificate(i.id, i.lifetime, i.hosts...)
	if err == nil {
		i.current = certificate
	}
	return err
}

func (i *issued) certificate() (*tls.Certificate, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.current == nil {
		return nil, errors.New("no mesh is loaded yet")
	}
	return i.current, nil
}

func (i *issued) roots() (*x509.CertPool, error) {
	return i.authority.Pool(), nil
}

// renew issues a new certificate when two thirds of the old one's life are over.
func (i *issued) renew(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		i.mu.Lock()
		if c := i.current; c != nil && time.Until(c.Leaf.NotAfter) < c.Leaf.NotAfter.Sub(c.Leaf.NotBefore)/3 {
			if err := i.issue(); err != nil {
				log.Error("the server's certificate cannot be renewed", "error", err)
			}
		}
		i.mu.Unlock()
	}
}

// onDisk is an identity that another program maintains in a directory. It is read for every connection, so a renewed
// certificate is used at once.
type onDisk struct{ dir string }

func (d *onDisk) take(id spiffeid.ID, _ time.Duration) error {
	c, err := d.certificate()
	if err != nil {
		return err
	}
	got, err := svid.Identity(c.Leaf)
	if err != nil {
		return fmt.Errorf("%s: %w", d.dir, err)
	}
	if got != id {
		return fmt.Errorf("%s: the certificate is that of %s and must be that of %s", d.dir, got, id)
	}
	return nil
}

func (d *onDisk) certificate() (*tls.Certificate, error) {
	c, err := tls.LoadX509KeyPair(filepath.Join(d.dir, "tls.crt"), filepath.Join(d.dir, "tls.key"))
	if err != nil {
		return nil, err
	}
	return &c, nil
}

func (d *onDisk) roots() (*x509.CertPool, error) { return rootsIn(filepath.Join(d.dir, "ca.crt")) }

// rootsIn are the certificates of a file in PEM.
func rootsIn(name string) (*x509.CertPool, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	pool, ok := publickey.Pool(data)
	if !ok {
		return nil, fmt.Errorf("%s holds no certificate", name)
	}
	return pool, nil
}

func (d *onDisk) reissue() error { return nil }

func (d *onDisk) renew(context.Context, *slog.Logger) {}
