package serve

import (
	"net"
	"time"

	"google.golang.org/grpc/credentials"
)

// expiring ends each connection when the certificate ends that the client has shown:
// who could not renew it is told nothing more, and who could comes back with the new
// one. Ending its streams would not do, for Envoy opens the next on the same
// connection.
type expiring struct {
	credentials.TransportCredentials
}

// ServerHandshake is that of the credentials within.
func (e expiring) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := e.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return conn, info, err
	}
	if shown, ok := info.(credentials.TLSInfo); ok && len(shown.State.PeerCertificates) > 0 {
		left := time.Until(shown.State.PeerCertificates[0].NotAfter)
		conn = &expiringConn{conn, time.AfterFunc(left, func() { _ = raw.Close() })} // whoever reads is told
	}
	return conn, info, nil
}

// Clone is for gRPC, which copies what it is given.
func (e expiring) Clone() credentials.TransportCredentials {
	return expiring{e.TransportCredentials.Clone()}
}

type expiringConn struct {
	net.Conn
	end *time.Timer
}

func (c *expiringConn) Close() error {
	c.end.Stop()
	return c.Conn.Close()
}
