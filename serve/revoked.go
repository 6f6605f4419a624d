package serve

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	runtimeservice "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc/credentials"

	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/identity/svid"
	"github.com/meshc/meshc/render/envoy"
)

// revocations close the connections of holders of revoked certificates, and refuse new ones.
type revocations struct {
	mu   sync.Mutex
	list []ca.Revocation
	open map[*revocable]struct{}
	// layer and rules have one resource each, which tell all proxies of the revocations: the newest, by their runtime,
	// and all. told is what they have.
	layer, rules *cache.LinearCache
	told         []envoy.Revoked
}

func newRevocations(list []ca.Revocation) *revocations {
	r := &revocations{
		list: list, open: map[*revocable]struct{}{},
		// The versions of another server are others.
		layer: cache.NewLinearCache(resource.RuntimeType, cache.WithVersionPrefix(rand.Text())),
		rules: cache.NewLinearCache(resource.ExtensionConfigType, cache.WithVersionPrefix(rand.Text())),
	}
	r.fill(r.current(time.Now()))
	return r
}

// fill tells proxies of the revocations, the newest first, if they are not told already.
func (r *revocations) fill(list []envoy.Revoked) {
	if r.told != nil && slices.Equal(list, r.told) {
		return
	}
	r.told = append([]envoy.Revoked{}, list...)
	rules, err := envoy.RevokedRules(list)
	if err == nil {
		err = r.rules.UpdateResource(envoy.RevokedFilter, rules)
	}
	err = errors.Join(err, r.layer.UpdateResource(envoy.RevokedLayer, &runtimeservice.Runtime{
		Name: envoy.RevokedLayer, Layer: envoy.RevokedRuntime(list),
	}))
	if err != nil {
		panic(err) // a resource that cannot be packed is a fault of meshc
	}
}

// take replaces the list of revocations, and reports whether it has changed.
func (r *revocations) take(list []ca.Revocation) bool {
	r.mu.Lock()
	if slices.Equal(list, r.list) {
		r.mu.Unlock()
		return false
	}
	r.list = list
	var ended []*revocable
	for c := range r.open {
		if r.takes(c.leaf) {
			ended = append(ended, c)
		}
	}
	r.fill(r.current(time.Now()))
	r.mu.Unlock()
	for _, c := range ended {
		_ = c.raw.Close() // whoever reads is told
	}
	return true
}

// revoked reports whether a certificate was revoked.
func (r *revocations) revoked(leaf *x509.Certificate) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.takes(leaf)
}

// takes is revoked, with the lock held.
func (r *revocations) takes(leaf *x509.Certificate) bool {
	id, err := svid.Identity(leaf)
	if err != nil {
		return false // it has no identity, and is refused for that
	}
	proof, _ := ca.ProofOf(leaf)
	return slices.ContainsFunc(r.list, func(v ca.Revocation) bool { return v.Takes(id, proof.Chain) })
}

// forProxies returns the revocations that a proxy needs, the newest first. With live, the proxy's runtime has the
// newest.
func (r *revocations) forProxies(now time.Time, live bool) []envoy.Revoked {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.current(now)
	r.fill(out)
	if !live {
		for i := range out {
			out[i].Live = false
		}
	}
	return out
}

// current are the revocations of certificates that may not have expired yet, the newest first. Those that came too many
// at once for the runtime are told by listeners too, as connections may be open that it did not end.
func (r *revocations) current(now time.Time) (out []envoy.Revoked) {
	for _, v := range slices.Backward(r.list) {
		if !v.Over(now) {
			out = append(out, envoy.Revoked{
				Identity: v.Identity, Chain: v.Chain, Live: !v.Drain && len(out) < envoy.LiveRevocations,
			})
		}
	}
	return out
}

// revocableCredentials are credentials whose connections are closed by a revocation.
type revocableCredentials struct {
	credentials.TransportCredentials
	revoked *revocations
}

var errRevoked = errors.New("the client's certificate was revoked")

// ServerHandshake is that of the credentials within.
func (c revocableCredentials) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := c.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return conn, info, err
	}
	shown, ok := info.(credentials.TLSInfo)
	if !ok || len(shown.State.PeerCertificates) == 0 {
		return conn, info, nil
	}
	r := &revocable{Conn: conn, raw: raw, leaf: shown.State.PeerCertificates[0], of: c.revoked}
	c.revoked.mu.Lock()
	defer c.revoked.mu.Unlock()
	if c.revoked.takes(r.leaf) {
		return nil, nil, errors.Join(errRevoked, conn.Close())
	}
	c.revoked.open[r] = struct{}{}
	return r, info, nil
}

// Clone is for gRPC, which copies what it is given.
func (c revocableCredentials) Clone() credentials.TransportCredentials {
	return revocableCredentials{c.TransportCredentials.Clone(), c.revoked}
}

// revocable is a connection of the holder of a certificate.
type revocable struct {
	net.Conn
	raw  net.Conn
	leaf *x509.Certificate
	of   *revocations
}

// Close is that of the connection within.
func (c *revocable) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}
