package serve

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// acceptor bounds the connections of one listener, by the addresses that they come from and all together
// (mesh.server.limits), and closes those beyond. So one address that holds connections open keeps out no other. A
// connection on which a proxy has shown its identity is no longer counted here, but by [quotas].
type acceptor struct {
	net.Listener
	quotas                  *quotas
	log                     *slog.Logger
	refusals                *rate.Sometimes // bounds what is logged of strangers
	connections, handshakes addressCounts
}

// logOfStrangers bounds how often something is logged of clients that have not shown who they are.
func logOfStrangers() *rate.Sometimes { return &rate.Sometimes{First: 10, Interval: 10 * time.Second} }

// acceptedConn is a connection that is counted until it is closed.
type acceptedConn struct {
	net.Conn
	begin func() // ends its time as a handshake
	leave func() // ends that it is counted
}

func newAcceptor(l net.Listener, q *quotas, log *slog.Logger) *acceptor {
	return &acceptor{Listener: l, quotas: q, log: log, refusals: logOfStrangers()}
}

// Accept returns the next connection that is within the limits.
func (a *acceptor) Accept() (net.Conn, error) {
	for {
		conn, err := a.Listener.Accept()
		if err != nil {
			return nil, err
		}
		counted, err := a.count(conn)
		if err == nil {
			return counted, nil
		}
		_ = conn.Close() // and that is the answer
		a.quotas.metrics.limitedConnections.Inc()
		a.refusals.Do(func() {
			a.log.Warn("a connection was closed", "at", a.Addr().String(), "from", conn.RemoteAddr().String(),
				"reason", err)
		})
	}
}

func (a *acceptor) count(conn net.Conn) (*acceptedConn, error) {
	from, limits := network(conn.RemoteAddr().String()), a.quotas.inForce()
	leave, err := a.connections.enter(from, limits.ConnectionsPerAddress, limits.OpenConnections)
	if err != nil {
		return nil, fmt.Errorf("%w connections (mesh.server.limits.connectionsPerAddress, openConnections)", err)
	}
	begin, err := a.handshakes.enter(from, limits.HandshakesPerAddress, limits.OpenHandshakes)
	if err != nil {
		leave()
		return nil, fmt.Errorf("%w handshakes (mesh.server.limits.handshakesPerAddress, openHandshakes)", err)
	}
	return &acceptedConn{Conn: conn, begin: begin, leave: func() { begin(); leave() }}, nil
}

// Close is that of the connection within.
func (c *acceptedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}

// countRequests makes an HTTP server tell its [acceptor] on which connections a request has come.
func countRequests(s *http.Server) {
	s.ConnState = func(conn net.Conn, state http.ConnState) {
		if state == http.StateNew {
			return
		}
		if over, ok := conn.(*tls.Conn); ok {
			conn = over.NetConn()
		}
		if counted, ok := conn.(*acceptedConn); ok {
			counted.begin()
		}
	}
}

// addressCounts count what clients hold, by the networks that they come from.
type addressCounts struct {
	mu  sync.Mutex
	all uint32
	of  map[netip.Prefix]uint32
}

// enter counts one more, until leave is called, or returns an error if there are as many as may be.
func (c *addressCounts) enter(from netip.Prefix, each, all uint32) (leave func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.of[from] >= each:
		return nil, fmt.Errorf("%s has %d", from, each)
	case c.all >= all:
		return nil, fmt.Errorf("all clients together have %d", all)
	}
	if c.of == nil {
		c.of = map[netip.Prefix]uint32{}
	}
	c.of[from]++
	c.all++
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all--
		if c.of[from]--; c.of[from] == 0 {
			delete(c.of, from)
		}
	}), nil
}

// network is what counts as one client: an address of IPv4, and of IPv6 the network of 64 bits, which one host has for
// itself.
func network(address string) netip.Prefix {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return netip.Prefix{} // no listener has such clients
	}
	ip := at.Addr().Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	return netip.PrefixFrom(ip, bits).Masked()
}
