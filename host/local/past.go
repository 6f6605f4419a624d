package local

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"path/filepath"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/identity/svid"
)

// Past is somebody in a service's place who comes to another service past the proxy of its own: with its identity, and
// none of its configuration. URL is where the proxy of the callee's first instance takes that port.
func (r *Running) Past(from, to, port string) (client *http.Client, url string, err error) {
	caller, callee := r.Placed.Service(from), r.Placed.Service(to)
	if caller == nil || callee == nil || len(callee.Workload.Endpoints) == 0 {
		return nil, "", fmt.Errorf("%s or %s does not run", from, to)
	}
	directory := caller.Proxy.CertificateDirectory
	own, err := tls.LoadX509KeyPair(
		filepath.Join(directory, svid.CertificateFile), filepath.Join(directory, svid.KeyFile))
	if err != nil {
		return nil, "", err
	}
	bundle, err := x509bundle.Load(callee.Identity.TrustDomain(), filepath.Join(directory, svid.TrustFile))
	if err != nil {
		return nil, "", err
	}
	e := &callee.Workload.Endpoints[0]
	return &http.Client{Transport: &http.Transport{TLSClientConfig: memberTLS(own, bundle, callee)}},
		"https://" + join(e.Address, e.Ports[port]), nil
}

// memberTLS is how somebody with a certificate of the mesh speaks to a proxy of a service, whatever way they have come:
// as proxies of the mesh do, with the name of the service in the handshake.
func memberTLS(own tls.Certificate, bundle x509bundle.Source, callee *ir.Service) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS13, ServerName: callee.QualifiedName(),
		InsecureSkipVerify: true, // #nosec G402 -- names are SPIFFE IDs, which are checked below
		VerifyConnection:   func(s tls.ConnectionState) error { return isMember(s, bundle, callee) },
	}
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
