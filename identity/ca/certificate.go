package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// Certificate is a certificate of that identity for this process, with a key
// that stays in it. Hosts are the DNS names and IP addresses that it carries too,
// for clients that look for those.
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
