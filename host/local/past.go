package local

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/identity/svid"
)

// pastTime is how long the certificate of [Mesh.Past] is good.
const pastTime = time.Minute

// Past is somebody in a service's place who comes to another service past the proxy of its own: with its identity, and none of
// its configuration. URL is where the proxy of the callee's first instance takes that port.
func (m *Mesh) Past(from, to string, port string) (client *http.Client, url string, err error) {
	placed := m.Placed()
	caller, callee := placed.Service(from), placed.Service(to)
	if caller == nil || callee == nil || len(callee.Workload.Endpoints) == 0 {
		return nil, "", fmt.Errorf("%s or %s does not run", from, to)
	}
	e := &callee.Workload.Endpoints[0]
	config, err := m.with(caller.Identity, callee)
	if err != nil {
		return nil, "", err
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config}}, "https://" + join(e.Address, e.Ports[port]), nil
}

// with is how somebody with an identity speaks to a proxy of a service, whatever way they have come.
func (m *Mesh) with(id spiffeid.ID, callee *ir.Service) (*tls.Config, error) {
	own, err := m.authority.Certificate(id, pastTime)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(m.authority.Bundle())
	return &tls.Config{
		Certificates: []tls.Certificate{*own}, MinVersion: tls.VersionTLS13,
		InsecureSkipVerify: true, // #nosec G402 -- names are SPIFFE IDs, which are checked below
		VerifyConnection:   func(s tls.ConnectionState) error { return isMember(s, roots, callee) },
	}, nil
}

// isMember checks that the other side is that service (SPIFFE X.509-SVID, section 5).
func isMember(s tls.ConnectionState, roots *x509.CertPool, service *ir.Service) error {
	leaf := s.PeerCertificates[0]
	between := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		between.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return err
	}
	if id, err := svid.Identity(leaf); err != nil || id != service.Identity {
		return fmt.Errorf("the other side is not %s", service.Identity)
	}
	return nil
}
