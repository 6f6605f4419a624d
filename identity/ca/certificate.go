package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// Certificate creates a key and signs a certificate of the identity for this process itself. Hosts are DNS names and
// IP addresses that become SANs too, for clients that verify those.
func (a *Authority) Certificate(id spiffeid.ID, lifetime time.Duration, hosts ...string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	chain, err := a.issue(key.Public(), id, lifetime, hosts, Proof{})
	if err != nil {
		return nil, err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	c, err := tls.X509KeyPair(chain, keyPEM)
	return &c, err
}
