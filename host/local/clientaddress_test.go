package local

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// The rules of a service that is called by a gateway and by members, about addresses: of one caller, of several, and
// of all.
const addressesMesh = `package m

mesh: {name: "m", trustDomain: "m.example"}
services: {
	[N=string]: workload: deployment: N
	teller: uses: {denied: {}, allowed: {}, all: {}, own: {}}
	[!="teller"]: ports: http: {port: 8080, protocol: "http"}
	denied: {
		allow: [{from: {gateways: ["edge"], services: ["teller"]}}]
		deny: [{from: {anyone: true, ipRanges: ["127.0.0.50/32"]}}]
	}
	allowed: allow: [{from: {gateways: ["edge"], services: ["teller"], ipRanges: ["127.0.0.48/30"]}}]
	all: allow: [{from: {namespaces: ["default"], ipRanges: ["127.0.0.50"]}}]
	own: allow: [{from: {gateways: ["edge"], services: ["teller"], ipRanges: ["127.0.0.1"]}}]
}
gateways: edge: {
	listeners: {http: port: 8080, https: {port: 8443, tls: secret: "edge", http3: true}}
	routes: [
		{match: host: "denied.example", to: [{service: "denied"}]},
		{match: host: "allowed.example", to: [{service: "allowed"}]},
		{match: host: "all.example", to: [{service: "all"}]},
		{to: [{service: "own"}]},
	]
	uses: {denied: {}, allowed: {}, all: {}, own: {}}
}
`

// staticDelivery has a mesh that is written in a test run without meshc serve.
const staticDelivery = `delivery: "static", certificates: issuer: kind: "file",`

// forged are the headers by which somebody may say to come from another address, and how.
var forged = [][]string{
	nil,
	{"x-forwarded-for", "127.0.0.50"},
	{"x-forwarded-for", "127.0.0.50, 127.0.0.1"},
	{"x-forwarded-for", "127.0.0.50,"},
	{"x-real-ip", "127.0.0.50"},
	{"forwarded", "for=127.0.0.50"},
	{"x-envoy-external-address", "127.0.0.50"},
}

// A rule with addresses is about the client's where a gateway sends its requests, and about the connection's for
// members: what either of them says in headers of another address is not believed, and try says the same as Envoy. The
// reports of users are istio/istio#30166, #22341 and #7679, and projectcontour/contour#4449.
//
// Field: allow.from.ipRanges
func TestAddressesOfClients(t *testing.T) {
	for _, delivery := range []string{"", staticDelivery} {
		m := inline(t, map[string]string{"mesh.cue": strings.Replace(addressesMesh, `name: "m",`,
			`name: "m", `+delivery, 1)})
		mesh := start(t, m)
		_, address, _ := strings.Cut(mesh.Gateway("edge").Listeners["http"], "://")
		_, secure, _ := strings.Cut(mesh.Gateway("edge").Listeners["https"], "://")
		statuses := map[int]int{}
		for _, service := range []string{"denied", "allowed", "all", "own"} {
			for _, headers := range forged {
				for _, ip := range []string{"127.0.0.1", "127.0.0.50", "127.0.0.51"} {
					r := try.Request{
						From: try.Sender{Kind: ir.KindGateway, Name: "edge"}, Method: "GET",
						Scheme: "http", Host: service + ".example", Port: 8080, Path: "/", IP: netip.MustParseAddr(ip),
					}
					want := triedStatus(t, m, r, headers)
					statuses[want]++
					if got := send(t, clientAt(t, ip), "GET", "http://"+address+"/",
						append([]string{"host", r.Host}, headers...)...); got.status != want {
						t.Errorf("%s: %s from %s with %q: %d, and try says %d", delivery, service, ip, headers,
							got.status, want)
					} else if got.report != nil && got.report.Headers["x-forwarded-for"] != ip {
						t.Errorf("%s: %s from %s with %q is told of %q", delivery, service, ip, headers,
							got.report.Headers["x-forwarded-for"])
					}
					if headers != nil && headers[0] == "x-forwarded-for" && ip != "127.0.0.1" && delivery == "" {
						if got := overHTTP3(t, ip, secure, r.Host, headers); got != want {
							t.Errorf("HTTP/3: %s from %s with %q: %d, and try says %d", service, ip, headers, got, want)
						}
					}
					r = try.Request{
						From: try.Sender{
							Kind: ir.KindIdentity,
							Name: "spiffe://m.example/ns/default/sa/teller",
						}, Method: "GET", Scheme: "http", Host: service,
						Port: 8080, Path: "/", IP: r.IP,
					}
					want = triedStatus(t, m, r, headers)
					statuses[want]++
					if got := memberAt(t, mesh, ip, r.From.Name, service, headers); got != want {
						t.Errorf("%s: teller to %s from %s with %q: %d, and try says %d", delivery, service, ip,
							headers, got, want)
					}
				}
				// The application's own word goes no further than its proxy's.
				r := try.Request{
					From: try.Sender{Kind: ir.KindService, Name: "teller"}, Method: "GET", Scheme: "http",
					Host: service, Port: 8080, Path: "/", IP: netip.MustParseAddr("127.0.0.1"),
				}
				want := triedStatus(t, m, r, headers)
				if got := send(t, mesh.As("teller").Client(), "GET", "http://"+service+":8080/",
					headers...); got.status != want {
					t.Errorf("%s: teller to %s with %q: %d, and try says %d", delivery, service, headers, got.status,
						want)
				}
			}
		}
		if statuses[http.StatusOK] < 40 || statuses[http.StatusForbidden] < 40 {
			t.Errorf("answers by status: %v", statuses)
		}
	}
}

// triedStatus is the status that try has for a request with headers.
func triedStatus(t *testing.T, m *ir.Mesh, r try.Request, headers []string) int {
	t.Helper()
	for i := 0; i < len(headers); i += 2 {
		r.Headers = append(r.Headers, ir.Header{Name: headers[i], Value: headers[i+1]})
	}
	trial, err := try.Try(m, r)
	if err != nil || len(trial.Undecided) > 0 {
		t.Fatalf("%v: %v, %v", r, err, trial)
	}
	if trial.Answer != nil {
		return trial.Answer.Status
	}
	return http.StatusOK
}

// clientAt is a client at a loopback address, which makes a connection for each request.
func clientAt(t *testing.T, ip string) *http.Client {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, DisableKeepAlives: true,
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// memberAt is the status that somebody with an identity at an address gets of a service's proxy.
func memberAt(t *testing.T, mesh *Mesh, ip, identity, service string, headers []string) int {
	t.Helper()
	config, err := mesh.clientTLS(spiffeid.RequireFromString(identity), mesh.Placed().Service(service))
	if err != nil {
		t.Fatal(err)
	}
	c := clientAt(t, ip)
	c.Transport.(*http.Transport).TLSClientConfig = config
	return send(t, c, "GET", "https://"+inbound(mesh, service, "http")+"/", headers...).status
}

// overHTTP3 is the status that a client at a loopback address gets over HTTP/3.
func overHTTP3(t *testing.T, ip, address, host string, headers []string) int {
	t.Helper()
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(ip)})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	from := &quic.Transport{Conn: socket}
	defer from.Close()
	h3 := &http3.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: host},
		Dial: func(ctx context.Context, addr string, c *tls.Config, q *quic.Config) (*quic.Conn, error) {
			to, err := net.ResolveUDPAddr("udp4", addr)
			if err != nil {
				return nil, err
			}
			return from.Dial(ctx, to, c, q)
		},
	}
	defer h3.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := h3.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode
}
