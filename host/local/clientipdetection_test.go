package local

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// A gateway with listeners behind proxies of each sort, and a service for clients of some addresses.
const behindMesh = `package m

mesh: {name: "m", trustDomain: "m.example"}
services: {
	shop: {
		workload: deployment: "shop"
		ports: http: {port: 8080, protocol: "http"}
		allow: [{from: {gateways: ["lb"], ipRanges: ["203.0.113.0/24", "2001:db8::/32"]}}]
	}
	bytes: {workload: deployment: "bytes", ports: bytes: {port: 5432, protocol: "tcp"}, allow: [{from: gateways: ["lb"]}]}
}
gateways: lb: {
	listeners: {
		none: port: 8080
		hop: {port: 8081, clientIPDetection: numTrustedHops: 1}
		hops: {port: 8082, clientIPDetection: numTrustedHops: 2}
		ranged: {port: 8083, clientIPDetection: {numTrustedHops: 1, trustedCIDRs: ["127.0.0.60/32"]}}
		secure: {port: 8443, hosts: ["secure.example"], tls: secret: "a", http3: true, clientIPDetection: {numTrustedHops: 1, trustedCIDRs: ["127.0.0.60"]}}
		plain: {port: 8443, hosts: ["plain.example"], tls: secret: "b", http3: true}
		proxy: {port: 8444, tls: secret: "a", clientIPDetection: proxyProtocol: true}
		exact: {port: 8445, tls: secret: "a", clientIPDetection: {proxyProtocol: true, trustedCIDRs: ["127.0.0.60"]}}
		both: {port: 8084, clientIPDetection: {proxyProtocol: true, numTrustedHops: 1}}
		tcp: {port: 5432, protocol: "tcp", to: service: "bytes", clientIPDetection: proxyProtocol: true}
		ends: {port: 5433, protocol: "tcp", tls: secret: "a", to: service: "bytes", clientIPDetection: proxyProtocol: true}
		redirects: {port: 8085, redirectTo: "proxy", clientIPDetection: proxyProtocol: true}
	}
	routes: [
		{name: "to-https", match: headers: "x-forwarded-proto": exact: "http", redirect: scheme: "https"},
		{name: "moved", match: path: exact: "/moved", redirect: path: "/to"},
		{name: "shop", to: [{service: "shop"}]},
	]
	uses: {shop: {}, bytes: {}}
}
`

const (
	aClient   = "203.0.113.5"
	another   = "198.51.100.7"
	theProxy  = "127.0.0.60"
	someProxy = "127.0.0.61"
)

// How a connection begins, for a client at an address, in the PROXY protocol (haproxy, proxy-protocol.txt).
var (
	bare    = func(string) string { return "" }
	version = map[int]func(ip string) string{1: proxyV1, 2: proxyV2}
)

func proxyV1(ip string) string {
	if strings.Contains(ip, ":") {
		return fmt.Sprintf("PROXY TCP6 %s 2001:db8::1 4711 443\r\n", ip)
	}
	return fmt.Sprintf("PROXY TCP4 %s 192.0.2.1 4711 443\r\n", ip)
}

func proxyV2(ip string) string {
	from := netip.MustParseAddr(ip)
	out, to := []byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"), netip.MustParseAddr("192.0.2.1")
	if from.Is6() {
		out[13], out[15], to = 0x21, 36, netip.MustParseAddr("2001:db8::1")
	}
	out = append(append(out, from.AsSlice()...), to.AsSlice()...)
	return string(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(out, 4711), 443))
}

// behindCase is a request to a listener: by whom the connection is made, how it begins for which client, and its
// headers.
type behindCase struct {
	listener, from string
	begins         func(string) string
	client         string
	headers        []string
	status         int    // 0 for a connection that is closed
	told           string // whom the application is told of, and by what scheme
}

// Listeners behind load balancers go by what those say of the client and how it came, in routes, rules and towards the
// application, and by nobody else's word. The reports of users are istio/istio#16778, #47947 and #39868,
// projectcontour/contour#3294 and #4449, and envoyproxy/gateway#3188.
//
// Field: listeners.clientIPDetection
func TestClientIPDetection(t *testing.T) {
	m := inline(t, map[string]string{"mesh.cue": behindMesh})
	mesh := start(t, m)
	https := []string{"x-forwarded-for", aClient, "x-forwarded-proto", "https"}
	with := func(xff string, more ...string) []string {
		return append([]string{"x-forwarded-for", xff, "x-forwarded-proto", "https"}, more...)
	}
	cases := []behindCase{
		{"none", theProxy, bare, "", https, 301, ""},
		{"hop", theProxy, bare, "", https, 200, aClient + " https"},
		{"hop", theProxy, bare, "", with("2001:db8::5"), 200, "2001:db8::5 https"},
		{"hop", theProxy, bare, "", with(another + ", " + aClient), 200, aClient + " https"},
		{"hop", theProxy, bare, "", with(aClient + ", " + another), 403, ""},
		{"hop", theProxy, bare, "", with(aClient + ":4711"), 403, ""},
		{"hop", theProxy, bare, "", with("unknown"), 403, ""},
		{"hop", theProxy, bare, "", with(aClient + ","), 403, ""},
		{"hop", theProxy, bare, "", with(another, "x-real-ip", aClient, "forwarded", "for="+aClient, "true-client-ip", aClient), 403, ""},
		{"hop", theProxy, bare, "", []string{"x-forwarded-for", aClient}, 301, ""},
		{"hop", theProxy, bare, "", []string{"x-forwarded-for", aClient, "x-forwarded-proto", "http"}, 301, ""},
		{"hops", theProxy, bare, "", with(aClient + ", 10.0.0.1"), 200, aClient + " https"},
		{"hops", theProxy, bare, "", with(another + "," + aClient + ",10.0.0.1"), 200, aClient + " https"},
		{"hops", theProxy, bare, "", https, 403, ""},
		{"ranged", theProxy, bare, "", https, 200, aClient + " https"},
		{"ranged", someProxy, bare, "", https, 301, ""},
		{"secure", theProxy, bare, "", https, 200, aClient + " https"},
		{"secure", someProxy, bare, "", https, 403, ""},
		{"plain", theProxy, bare, "", https, 403, ""},
		{"proxy", theProxy, bare, "", https, 0, ""},
		{"both", theProxy, bare, "", https, 0, ""},
	}
	for _, begins := range version {
		cases = append(
			cases,
			behindCase{"proxy", someProxy, begins, aClient, nil, 200, aClient + " https"},
			behindCase{"proxy", someProxy, begins, "2001:db8::5", nil, 200, "2001:db8::5 https"},
			behindCase{"proxy", theProxy, begins, aClient, with(another), 200, aClient + " https"},
			behindCase{"proxy", theProxy, begins, another, https, 403, ""},
			behindCase{"exact", theProxy, begins, aClient, nil, 200, aClient + " https"},
			behindCase{"exact", someProxy, begins, aClient, nil, 0, ""},
			behindCase{"both", theProxy, begins, "192.0.2.9", https, 200, aClient + " https"},
			behindCase{"both", theProxy, begins, aClient, with(another), 403, ""},
			behindCase{"both", theProxy, begins, aClient, nil, 301, ""},
			behindCase{"none", theProxy, begins, aClient, nil, 400, ""},
			behindCase{"redirects", theProxy, begins, aClient, https, 308, ""},
		)
	}
	for _, c := range cases {
		got, err := c.send(t, mesh)
		said := ""
		if got.report != nil {
			said = got.report.Headers["x-forwarded-for"] + " " + got.report.Headers["x-forwarded-proto"]
		}
		if got.status != c.status || said != c.told || (err == nil) != (c.status != 0) {
			t.Errorf("%s from %s for %q with %q: %d %s, told of %q (%v)", c.listener, c.from, c.client, c.headers, got.status, got.body, said, err)
		}
		if c.status == 0 || c.status == 400 { // of the PROXY protocol itself try knows nothing
			continue
		}
		r := try.Request{From: try.Sender{Kind: ir.KindGateway, Name: "lb"}, Method: "GET", Scheme: "http", Host: "x.example", Port: m.Gateway("lb").Listener(c.listener).Port, Path: "/"}
		if r.IP = netip.MustParseAddr(c.from); c.client != "" {
			r.IP = netip.MustParseAddr(c.client)
		}
		if l := m.Gateway("lb").Listener(c.listener); l.TLS != nil {
			r.Scheme, r.Host = "https", strings.Replace(l.Hosts[0], "*", "x.example", 1)
		}
		if want := triedStatus(t, m, r, c.headers); want != c.status {
			t.Errorf("%s from %s for %q with %q: try says %d", c.listener, c.from, c.client, c.headers, want)
		}
	}
	for host, want := range map[string]int{"secure.example": 200, "plain.example": 403} {
		_, address, _ := strings.Cut(mesh.Gateway("lb").Listeners["secure"], "://")
		for ip, want := range map[string]int{theProxy: want, someProxy: 403} {
			if got := overHTTP3(t, ip, address, host, https); got != want {
				t.Errorf("HTTP/3 for %s from %s: %d", host, ip, got)
			}
		}
	}
}

// send makes the connection of a case, and its request.
func (c *behindCase) send(t *testing.T, mesh *Mesh) (answer, error) {
	t.Helper()
	return c.sendTo(t, mesh, "lb")
}

func (c *behindCase) sendTo(t *testing.T, mesh *Mesh, gateway string) (answer, error) {
	t.Helper()
	sender := clientAt(t, c.from)
	transport := sender.Transport.(*http.Transport)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &beginning{conn, c.begins(c.client)}, nil
	}
	url, host := mesh.Gateway(gateway).Listeners[c.listener], "x.example"
	if c.listener == "secure" || c.listener == "plain" {
		host = c.listener + ".example"
	}
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true, ServerName: host}
	return trySend(t.Context(), sender, "GET", url+"/", append([]string{"host", host}, c.headers...)...)
}

// Connections below HTTP begin with the PROXY protocol too where that is written, before the handshake, and are closed
// without it.
//
// Field: listeners.clientIPDetection.proxyProtocol
func TestProxyProtocolBelowHTTP(t *testing.T) {
	t.Parallel() // it waits more than it works
	mesh := start(t, inline(t, map[string]string{"mesh.cue": behindMesh}))
	for _, listener := range []string{"tcp", "ends"} {
		_, address, _ := strings.Cut(mesh.Gateway("lb").Listeners[listener], "://")
		for n, begins := range map[int]func(string) string{0: bare, 1: proxyV1, 2: proxyV2} {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, begins(aClient)); err != nil {
				t.Fatal(err)
			}
			if listener == "ends" {
				conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
			}
			_, _ = io.WriteString(conn, "hello\n") // the reading says whether it arrives
			line, err := bufio.NewReader(conn).ReadString('\n')
			if good := strings.HasPrefix(line, "bytes "); good != (n > 0) {
				t.Errorf("%s, version %d: %q, %v", listener, n, line, err)
			}
		}
	}
}

// beginning is a connection whose first bytes are sent together with those of the request: an answer to them alone
// would come before the request, and http.Transport takes such an answer for an error.
type beginning struct {
	net.Conn
	first string
}

func (c *beginning) Write(b []byte) (int, error) {
	first := c.first
	c.first = ""
	n, err := c.Conn.Write(append([]byte(first), b...))
	return max(0, n-len(first)), err
}
