//go:build e2e && linux

package redirect_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/host/redirect"
)

// Between two hosts datagrams pass on the ways that the mesh declares, over IPv4 and IPv6, with their answers, to name
// servers and on loopback; every other one is refused at once, at the host that sends it and at the one that takes it,
// as meshc try says. A port of TCP with the number of one of UDP stays what it is: a mesh mixed both up
// (istio/istio#11658). What excludes connections from the redirection does not open UDP, which others came to rely on
// and then not (istio/istio#53949).
//
// Field: ports.protocol
func TestUndeclaredUDPIsRefused(t *testing.T) {
	client, server := newHosts(t)
	m := compile(t, datagrams)
	rules := redirect.Rules{
		InboundPort: 15006, OutboundPort: 15001, ProxyUser: proxyUser, AdminPort: 15000,
		ExcludeInboundPorts: []uint16{7777, 22}, ExcludeOutboundPorts: []uint16{7777, 22},
	}
	for h, name := range map[host]string{client: "client", server: "metrics"} {
		s, own := m.Service(name), rules
		own.UDPInbound, own.UDPOutbound = m.UDPTaken(s), m.UDPSent(s)
		h.redirect(t, own)
	}
	for _, port := range []int{53, 123, 7777, 8125, 9125, 9126} {
		for _, network := range []string{"0.0.0.0", "::"} {
			server.answersUDP(t, hostPort(network, port))
		}
	}
	server.echo(t, "0.0.0.0:22", "over TCP")
	client.answersUDP(t, "127.0.0.1:9999")
	client.answersUDP(t, "0.0.0.0:9125") // of which the mesh knows nothing

	for address, want := range map[string]bool{
		"10.99.0.2:9125": true, "[fd99::2]:9125": true,
		"10.99.0.2:8125": false, // callers reach the instance at its target
		"10.98.0.2:9125": false, // an address of the same host that is no instance's
		"10.99.0.2:123":  true,  // an external of the client, and taken from anyone
		"[fd99::2]:123":  false, // of which only an address of IPv4 is an external's
		"10.99.0.2:9126": false,
		"10.99.0.2:7777": false,
		"10.99.0.2:22":   false,
	} {
		if got := client.isAnswered(t, address); got != want {
			t.Errorf("a datagram of the client to %s is answered: %v", address, got)
		}
		at := netip.MustParseAddrPort(address)
		said, err := try.Try(m, try.Request{
			From: try.Sender{Kind: ir.KindService, Name: "client"}, Method: "GET", Scheme: "udp",
			Host: at.Addr().String(), Port: at.Port(), Path: "/",
		})
		if err != nil || said.Allowed() != want {
			t.Errorf("meshc try says of a datagram of the client to %s: %+v, %v", address, said, err)
		}
	}
	if got := client.hears(t, 0, "10.99.0.2:22"); got != "over TCP" {
		t.Errorf("TCP to port 22 says %q", got)
	}
	if !client.isAnswered(t, "127.0.0.1:9999") {
		t.Error("a datagram on loopback is not answered")
	}
	if server.isAnswered(t, "10.99.0.1:9125") {
		t.Error("a datagram of the server is answered, and it uses nothing")
	}
}

// Who takes datagrams takes them from the addresses of those that a rule lets in and from no others, with all ports of
// another host open; DNS is closed inbound as any other port is, and open outbound. Without the rules everything
// passes again.
func TestUDPByAddressOfTheCaller(t *testing.T) {
	client, server := newHosts(t)
	for _, port := range []int{53, 9125} {
		server.answersUDP(t, fmt.Sprint("10.99.0.2:", port))
		server.answersUDP(t, fmt.Sprint("10.98.0.2:", port))
		client.answersUDP(t, fmt.Sprint("10.99.0.1:", port))
	}
	m := compile(t, datagrams)
	rules := redirect.Rules{InboundPort: 15006, OutboundPort: 15001, ProxyUser: proxyUser, AdminPort: 15000}
	everything := rules
	everything.UDPInbound, everything.UDPOutbound = []ir.UDPPath{{}}, []ir.UDPPath{{}}
	client.redirect(t, everything)
	rules.UDPInbound = m.UDPTaken(m.Service("metrics"))
	server.redirect(t, rules)
	for address, want := range map[string]bool{
		"10.99.0.2:9125": true,
		"10.98.0.2:9125": false, // it comes from 10.98.0.1
		"10.99.0.2:53":   false,
	} {
		if got := client.isAnswered(t, address); got != want {
			t.Errorf("a datagram to %s is answered: %v", address, got)
		}
	}
	if !server.isAnswered(t, "10.99.0.1:53") {
		t.Error("a name server is not reached")
	}
	var err error
	server.do(t, 0, func() { err = redirect.Remove() })
	if err != nil {
		t.Fatal(err)
	}
	if !client.isAnswered(t, "10.98.0.2:9125") || !server.isAnswered(t, "10.99.0.1:9125") {
		t.Error("a datagram is refused without rules")
	}
}

// datagrams is a mesh of two hosts.
const datagrams = `package two

mesh: {
	name: "two"
	trustDomain: "two.example"
	delivery: "static"
	certificates: issuer: kind: "file"
}
services: client: {
	workload: endpoints: [{address: "10.99.0.1"}, {address: "fd99::1"}]
	uses: {metrics: ports: ["statsd"], time: {}}
}
services: metrics: {
	workload: endpoints: [{address: "10.99.0.2"}, {address: "fd99::2"}]
	ports: {
		statsd: {port: 8125, target: 9125, protocol: "udp"}
		time: {port: 123, protocol: "udp"}
		admin: {port: 9125, protocol: "http"}
	}
	allow: [
		{from: services: ["client"], ports: ["statsd"]},
		{from: {anyone: true}, ports: ["time"]},
	]
	silence: {MC1703: "everybody may ask for the time", MC1737: "the test sends from the right addresses"}
}
external: time: {hosts: ["10.99.0.2"], ports: ntp: {port: 123, protocol: "udp"}}
`

// redirect sets the rules on the host.
func (h host) redirect(t *testing.T, rules redirect.Rules) {
	t.Helper()
	var err error
	h.do(t, 0, func() { err = redirect.Apply(rules) })
	if err != nil {
		t.Fatal(err)
	}
}

// answersUDP is an application that sends each datagram back, from the address that it came to.
func (h host) answersUDP(t *testing.T, address string) {
	t.Helper()
	h.do(t, 0, func() {
		at := netip.MustParseAddrPort(address)
		network := "udp4"
		if at.Addr().Is6() {
			network = "udp6"
		}
		conn, err := net.ListenPacket(network, address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			return
		}
		t.Cleanup(func() { conn.Close() })
		go func() {
			data := make([]byte, 100)
			for {
				n, from, err := conn.ReadFrom(data)
				if err != nil {
					return
				}
				_, _ = conn.WriteTo(data[:n], from)
			}
		}()
	})
}

// isAnswered reports whether a datagram comes back. One that is refused is known at once by its ICMP message, and one
// that nobody answers after the deadline.
func (h host) isAnswered(t *testing.T, address string) (answered bool) {
	t.Helper()
	h.do(t, 0, func() {
		conn, err := net.Dial("udp", address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := conn.Write([]byte("ping")); err != nil {
			return
		}
		_, err = conn.Read(make([]byte, 100))
		if netError, ok := err.(net.Error); ok && netError.Timeout() {
			t.Errorf("%s: a datagram is neither answered nor refused", address)
		}
		answered = err == nil
	})
	return answered
}
