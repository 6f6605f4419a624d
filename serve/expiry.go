package serve

import (
	"net"
	"time"

	"google.golang.org/grpc/credentials"
)

// expiring closes each connection when the client's certificate expires. A client that could not renew it gets no
// more data; the others connect again with the new certificate. Closing only the streams would not be enough, because
// Envoy opens new ones on the same connection.
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
