package local

import (
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// A malformed request of HTTP/2 ends its own stream: a request beside it on the same connection is answered, at a
// gateway and at a callee's proxy. A load balancer before a gateway, and a proxy before a callee, have many callers on
// one connection.
// Users' reports: envoyproxy/envoy#30362 and #20575.
func TestMalformedRequestEndsItsStream(t *testing.T) {
	field := func(name, value string) [2]string { return [2]string{name, value} }
	shop := sharedShop(t)
	traffic := trafficMesh(t)
	_, https, _ := strings.Cut(traffic.Gateway("edge").Listeners["https"], "://")
	member := asMember(t, shop, "service/checkout")
	member.NextProtos = []string{"h2"}
	for where, c := range map[string]struct {
		address string
		config  *tls.Config
		good    [][2]string
	}{
		"a gateway": {
			https, &tls.Config{
				RootCAs: traffic.applications.stubs.roots, ServerName: "shop.example",
				NextProtos: []string{"h2"},
			},
			[][2]string{
				field(":method", "GET"), field(":scheme", "https"),
				field(":path", "/api/rewrite/x?delay=300ms"), field(":authority", "shop.example"),
			},
		},
		"a callee's proxy": {
			inbound(shop, "payment", "http"), member,
			[][2]string{
				field(":method", "POST"), field(":scheme", "https"), field(":path", "/charge?delay=300ms"),
				field(":authority", "payment"),
			},
		},
	} {
		g := c.good
		for name, malformed := range map[string][][2]string{
			"a space in the path":        {g[0], g[1], field(":path", "/a b"), g[3]},
			"another te":                 append(g[:4:4], field("te", "gzip")),
			"a name in upper case":       append(g[:4:4], field("X-A", "1")),
			"a length without a body":    append(g[:4:4], field("content-length", "7")),
			"no authority":               g[:3],
			"an authority with a user":   {g[0], g[1], g[2], field(":authority", "a@b")},
			"an empty authority":         {g[0], g[1], g[2], field(":authority", "")},
			"two paths":                  append(g[:4:4], field(":path", "/admin")),
			"a header of the connection": append(g[:4:4], field("connection", "close")),
			"a pseudo header of answers": append(g[:4:4], field(":status", "200")),
			"an unknown pseudo header":   append(g[:4:4], field(":admin", "1")),
			"a line break in a value":    append(g[:4:4], field("x-a", "1\r\nx-b: 2")),
			"no path":                    {g[0], g[1], g[3]},
		} {
			if good, bad := neighbours(t, c.address, c.config, g, malformed); good != "200" || bad == "200" {
				t.Errorf("%s, %s: %q, and its neighbour %q", where, name, bad, good)
			}
		}
	}
}

// neighbours sends two requests on one connection, of which the first takes longer, and returns the status of either;
// "" for a stream that is reset, and "closed" when the connection ends before.
func neighbours(t *testing.T, address string, config *tls.Config, first, second [][2]string) (status, other string) {
	t.Helper()
	framer := sendFrames(t, address, config, first, second)
	ended := map[uint32]string{}
	for len(ended) < 2 {
		frame, err := framer.ReadFrame()
		if err != nil {
			break
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			ended[f.StreamID] = f.PseudoValue("status")
		case *http2.RSTStreamFrame:
			if _, known := ended[f.StreamID]; !known {
				ended[f.StreamID] = ""
			}
		}
	}
	for _, stream := range []uint32{1, 3} {
		if _, known := ended[stream]; !known {
			ended[stream] = "closed"
		}
	}
	return ended[1], ended[3]
}

// A host that the next proxy would refuse is refused by the first, and a request beside it is answered.
func TestMalformedHostIsRefusedFirst(t *testing.T) {
	mesh := trafficMesh(t)
	scope := mesh.Placed().ServiceScope(mesh.Placed().Service("client"))
	address := scope.Use("headers").Bind("http", scope.Loopback(scope.Service.Workload.Endpoints[0].Name))
	for _, host := range []string{"a@b", "@", ".", "a,b", "", "a b"} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if status, _ := raw(t, conn, "GET /echo HTTP/1.1\r\nHost: "+host+"\r\n\r\n"); status != http.StatusBadRequest {
			t.Errorf("host %q: %d", host, status)
		}
	}
}
