package local

import (
	"crypto/tls"
	"net/http"
	"net/http/httptrace"
	"testing"

	"github.com/meshc/meshc/identity/ca"
)

const revokableEgress = `package revokable

mesh: {name: "revokable", trustDomain: "revokable.example", proxy: drainTime: "10m"}

services: [name=string]: workload: deployment: name
services: {client: uses: outside: {}, other: uses: outside: {}}
external: outside: {hosts: ["outside.example"], ports: http: {port: 80, protocol: "http"}, via: "exit"}
gateways: exit: {egress: {}, uses: outside: {}}
`

// Connections for requests that are open at an egress gateway end as soon as the caller's certificate is revoked,
// however long the gateway drains. Other callers and other holders of the identity are not affected.
func TestRevokedAtEgress(t *testing.T) {
	mesh, authority := startRevokable(t, revokableEgress)
	id := mesh.Placed().Service("client").Identity
	stolen, kept := ofChain(t, authority, id), ofChain(t, authority, id)
	other := ofChain(t, authority, mesh.Placed().Service("other").Identity)
	proof, _ := ca.ProofOf(stolen.Leaf)
	askKept, askOther := atEgress(t, mesh, kept), atEgress(t, mesh, other)
	answers := func(who string, ask func() (int, bool), status int) {
		t.Helper()
		eventually(t, who, func() bool { got, _ := ask(); return got == status })
	}
	for _, c := range []struct {
		revocation ca.Revocation
		holder     *tls.Certificate
		ofKept     int
	}{
		{ca.Revocation{Identity: id, Chain: proof.Chain}, stolen, http.StatusOK},
		{ca.Revocation{Identity: id}, kept, refusedByHandshake},
	} {
		held := atEgress(t, mesh, c.holder)
		answers("the holder", held, http.StatusOK)
		revoke(t, mesh, authority, c.revocation)
		eventually(t, "new connections of the holder are refused", func() bool {
			got, _ := atEgress(t, mesh, c.holder)()
			return got != http.StatusOK
		})
		eventually(t, "the end of the open connection", func() bool {
			got, reused := held()
			return got != http.StatusOK && !reused
		})
		answers("another holder of the identity", askKept, c.ofKept)
		answers("another caller", askOther, http.StatusOK)
	}
}

// refusedByHandshake is the status when there is no connection.
const refusedByHandshake = 0

// atEgress asks the gateway for the external on one connection, again and again, and tells the status and whether the
// connection was open before.
func atEgress(t *testing.T, mesh *Mesh, c *tls.Certificate) func() (status int, reused bool) {
	t.Helper()
	egress := mesh.Placed().Gateway("exit").Egress
	client := clientWith(t, c)
	transport := client.Transport.(*http.Transport)
	transport.ForceAttemptHTTP2, transport.TLSClientConfig.ServerName = true, "http.outside.egress"
	return func() (status int, reused bool) {
		trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }}
		r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet,
			"https://"+join(egress.Host, egress.Port)+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "outside.example"
		answer, err := client.Do(r)
		if err != nil {
			return 0, reused
		}
		_ = answer.Body.Close()
		return answer.StatusCode, reused
	}
}
