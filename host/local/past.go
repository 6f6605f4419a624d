package local

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/meshc/meshc/compiler/ir"
)

// pastTime is how long the certificate of [Mesh.Past] is good.
const pastTime = time.Minute

// Past is somebody in a service's place who comes to another service past the proxy of its own: with its identity, and
// none of its configuration. URL is where the proxy of the callee's first instance takes that port.
func (m *Mesh) Past(from, to string, port string) (client *http.Client, url string, err error) {
	placed := m.Placed()
	caller, callee := placed.Service(from), placed.Service(to)
	if caller == nil || callee == nil || len(callee.Workload.Endpoints) == 0 {
		return nil, "", fmt.Errorf("%s or %s does not run", from, to)
	}
	e := &callee.Workload.Endpoints[0]
	config, err := m.clientTLS(caller.Identity, callee)
	if err != nil {
		return nil, "", err
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config}},
		"https://" + join(e.Address, e.Ports[port]), nil
}

// clientTLS is how somebody with an identity speaks to a proxy of a service, whatever way they have come: as proxies of
// the mesh do, with the name of the service in the handshake.
func (m *Mesh) clientTLS(id spiffeid.ID, callee *ir.Service) (*tls.Config, error) {
	own, err := m.authority.Certificate(id, pastTime)
	if err != nil {
		return nil, err
	}
	bundle, err := x509bundle.Parse(callee.Identity.TrustDomain(), m.authority.Bundle())
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		Certificates: []tls.Certificate{*own}, MinVersion: tls.VersionTLS13, ServerName: callee.QualifiedName(),
		InsecureSkipVerify: true, // #nosec G402 -- names are SPIFFE IDs, which are checked below
		VerifyConnection:   func(s tls.ConnectionState) error { return isMember(s, bundle, callee) },
	}, nil
}

// isMember checks that the other side is that service.
func isMember(s tls.ConnectionState, bundle x509bundle.Source, service *ir.Service) error {
	id, _, err := x509svid.Verify(s.PeerCertificates, bundle)
	if err != nil {
		return err
	}
	if id != service.Identity {
		return fmt.Errorf("the other side is not %s", service.Identity)
	}
	return nil
}
