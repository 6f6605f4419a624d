package serve

import (
	"errors"
	"net"
	"sync"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"golang.org/x/time/rate"
	"google.golang.org/grpc/credentials"

	"github.com/meshc/meshc/identity/svid"
)

// connections are those that are open, by the address of the client.
type connections struct {
	mu   sync.Mutex
	open map[string]net.Conn
}

func (c *connections) add(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[string]net.Conn{}
	}
	c.open[conn.RemoteAddr().String()] = conn
}

func (c *connections) remove(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if address := conn.RemoteAddr().String(); c.open[address] == conn {
		delete(c.open, address)
	}
}

// end closes the connections of clients, and returns how many there are.
func (c *connections) end(addresses []string) (ended int) {
	var open []net.Conn
	c.mu.Lock()
	for _, address := range addresses {
		if conn := c.open[address]; conn != nil {
			open = append(open, conn)
		}
	}
	c.mu.Unlock()
	for _, conn := range open {
		_ = conn.Close() // whoever reads is told
	}
	return len(open)
}

// boundedCredentials limit the number of connections of an identity, and the HTTP/2 frames of a connection.
type boundedCredentials struct {
	credentials.TransportCredentials
	quotas *quotas
	open   *connections
}

// ServerHandshake is that of the credentials within.
func (b boundedCredentials) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := b.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return conn, info, err
	}
	var id spiffeid.ID // none has a quota too: that of all who have none
	if shown, ok := info.(credentials.TLSInfo); ok && len(shown.State.PeerCertificates) > 0 {
		id, _ = svid.Identity(shown.State.PeerCertificates[0])
	}
	if err := b.quotas.connect(id); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	if counted, ok := raw.(*acceptedConn); ok {
		counted.leave() // the identity's quota counts it now
	}
	b.open.add(raw)
	return &boundedConn{
		Conn: conn, left: sync.OnceFunc(func() {
			b.open.remove(raw)
			b.quotas.disconnect(id)
		}),
		flooded: b.quotas.metrics.limitedConnections.Inc,
		frames:  frames{rest: len(clientPreface), budget: rate.NewLimiter(frameCostPerSecond, frameCostAtOnce)},
	}, info, nil
}

// Clone is for gRPC, which copies what it is given.
func (b boundedCredentials) Clone() credentials.TransportCredentials {
	return boundedCredentials{b.TransportCredentials.Clone(), b.quotas, b.open}
}

// boundedConn is a connection that ends when its client floods it with frames.
type boundedConn struct {
	net.Conn
	left, flooded func()
	frames        frames
}

// errFrames ends a connection.
var errFrames = errors.New("the client sends too many HTTP/2 frames that carry nothing")

// Read is that of the connection within.
func (c *boundedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.frames.pass(p[:n]) {
		c.flooded()
		return 0, errors.Join(errFrames, c.Close())
	}
	return n, err
}

// Close is that of the connection within.
func (c *boundedConn) Close() error {
	c.left()
	return c.Conn.Close()
}
