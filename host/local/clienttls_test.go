package local

import (
	"crypto/tls"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
)

// clientTLS is [memberTLS] of somebody with an identity, who is given a certificate for a minute.
func (m *Mesh) clientTLS(id spiffeid.ID, callee *ir.Service) (*tls.Config, error) {
	own, err := m.authority.Certificate(id, time.Minute)
	if err != nil {
		return nil, err
	}
	bundle, err := x509bundle.Parse(callee.Identity.TrustDomain(), m.authority.Bundle())
	if err != nil {
		return nil, err
	}
	return memberTLS(*own, bundle, callee), nil
}
