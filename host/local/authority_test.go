package local

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"
	"golang.org/x/net/http2"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/compiler/try/trytest"
	"github.com/meshc/meshc/host/app"
)

// authorityMesh keeps hosts, a path, a method and a header to itself: the gateway answers there.
const authorityMesh = `package m

mesh: {name: "m", trustDomain: "m.example", silence: MC1701: "-"}
services: {
	[N=string]: workload: deployment: N
	[string]: ports: http: {port: 8080, protocol: "http"}
	[string]: allow: [{from: gateways: ["edge"]}]
	shop: {}
	adm: {}
}
gateways: edge: {
	listeners: {
		plain: {port: 8080, protocol: "http", hosts: ["shop.example", "*.shop.example"]}
		below: {port: 8443, hosts: ["shop.example", "*.shop.example"], tls: secret: "below", http3: true}
		adm: {port: 8443, hosts: ["adm.shop.example"], tls: {secret: "adm", clientCertificates: secret: "clients"}}
	}
	routes: [
		{match: {host: "adm.shop.example", listeners: ["adm"]}, to: [{service: "adm"}]},
		{match: host: "closed.shop.example", directResponse: status: 418},
		{match: host: "*.closed.shop.example", directResponse: status: 418},
		{match: path: prefix: "/admin", directResponse: status: 418},
		{match: method: "DELETE", directResponse: status: 418},
		{match: headers: "x-closed": present: true, directResponse: status: 418},
		{match: host: "open.shop.example", to: [{service: "shop"}]},
		{match: host: "*.shop.example", to: [{service: "shop"}]},
	]
	uses: {adm: {}, shop: {}}
}
`

// hostileHosts are hosts, and what looks like them to some reader.
var hostileHosts = []string{
	"open.shop.example", "closed.shop.example", "a.closed.shop.example", "adm.shop.example", "shop.example",
	"elsewhere.example", "closed.shop.example.", "closed.shop.example..", "CLOSED.shop.EXAMPLE", ".closed.shop.example",
	"closed.shop.example:80", "closed.shop.example:8080", "closed.shop.example:0", "closed.shop.example:99999",
	"closed.shop.example:", "closed.shop.example:abc", "closed.shop.example:-1", "closed.shop.example:80:80",
	"closed.shop.example.:80", "closed.shop.example:80.", "closed.shop.example: 80", "closed.shop.example :80",
	"closed.shop.example\x00", "closed.shop.example\t", "closed.shop.example ", "\tclosed.shop.example",
	"closed.shop.example\x00.shop.example", "closed.shop.example\x7f", "closed.shop.example\xff",
	"clos\xc3\xa9.shop.example",
	"user@closed.shop.example", "closed.shop.example@open.shop.example", "open.shop.example@closed.shop.example",
	"closed.shop.example,open.shop.example", "closed.shop.example;open.shop.example", "closed.shop.example/",
	"closed.shop.example/admin", "closed.shop.example?", "closed.shop.example#", `closed.shop.example\`,
	"closed%2eshop.example", "%63losed.shop.example", "closed.shop.example%00", "closed.shop.example%20",
	"closed_.shop.example", "_closed.shop.example", "closed-.shop.example", "xn--closed.shop.example", "*.shop.example",
	"*",
	"[::1]", "[::1]:80", "[closed.shop.example]", "[closed.shop.example]:80", "[::1%25eth0]",
	"[::ffff:127.0.0.1]", "::1",
	"127.0.0.1", "2130706433", "0x7f000001", "localhost", "", ".", "..", ":", ":80", "-", "closed.shop.example|", "a b",
	"http://closed.shop.example", "closed.shop.example:80@open.shop.example",
	"open.shop.example:80#@closed.shop.example",
	strings.Repeat("a", 64) + ".shop.example", strings.Repeat("a.", 500) + "shop.example", strings.Repeat("a", 20000),
	"adm.shop.example.", "ADM.shop.example", "adm.shop.example:8443", "adm.shop.example.:443", "a@adm.shop.example",
	"adm%2eshop.example", "adm.shop.example%2e", "\"adm.shop.example\"", "adm.shop.example\u200b",
	"adm\u3002shop.example",
}

// hostileRequest is a request in which no client has set anything right.
type hostileRequest struct {
	method, path, host string
	second             string // another header host; "" for none
	absolute           bool   // over HTTP/1.1
	headers            [][2]string
}

func (r hostileRequest) String() string {
	return fmt.Sprintf("%s %.80q of %.80q, absolute %t, second host %.40q, %q", r.method, r.path, r.host, r.absolute,
		r.second, r.headers)
}

// TestAuthoritiesAreOneThing sends random spellings of hosts, with paths, methods and headers, to a gateway over
// HTTP/1.1, HTTP/2 and HTTP/3. No request is answered by an application for which try says that it is closed.
func TestAuthoritiesAreOneThing(t *testing.T) {
	n, seed := trytest.Amount(os.Getenv("MESHC_AUTHORITIES"), 300), trytest.Seed(t)
	m := inline(t, map[string]string{"mesh.cue": authorityMesh})
	mesh := start(t, m)
	_, plain, _ := strings.Cut(mesh.Gateway("edge").Listeners["plain"], "://")
	_, below, _ := strings.Cut(mesh.Gateway("edge").Listeners["below"], "://")
	config := func(protocol string) *tls.Config {
		return &tls.Config{InsecureSkipVerify: true, ServerName: "open.shop.example", NextProtos: []string{protocol}}
	}
	ways := []struct {
		name, scheme string
		ask          func(hostileRequest) (int, *app.Report)
	}{
		{"HTTP/1.1", "http", func(r hostileRequest) (int, *app.Report) {
			conn, err := net.Dial("tcp", plain)
			if err != nil {
				t.Fatal(err)
			}
			return r.overHTTP1(t, conn)
		}},
		{"HTTP/1.1 and TLS", "https", func(r hostileRequest) (int, *app.Report) {
			conn, err := tls.Dial("tcp", below, config("http/1.1"))
			if err != nil {
				t.Fatal(err)
			}
			return r.overHTTP1(t, conn)
		}},
		{"HTTP/2", "https", func(r hostileRequest) (int, *app.Report) { return r.overHTTP2(t, below, config("h2")) }},
		{"HTTP/3", "https", func(r hostileRequest) (int, *app.Report) { return r.overHTTP3(t, below, config("h3")) }},
	}
	g := rand.New(rand.NewPCG(seed, 0))
	reached, refused := 0, 0
	for i := range n {
		r := hostileRequest{method: "GET", path: "/", host: hostileHosts[i%len(hostileHosts)]}
		if i >= len(hostileHosts) {
			r.vary(g)
		}
		for _, way := range ways {
			status, report := way.ask(r)
			sent := r
			sent.absolute = sent.absolute && strings.HasPrefix(way.name, "HTTP/1.1")
			open, why := sent.tried(t, m, way.scheme)
			if report == nil {
				refused++
				if status == http.StatusOK {
					t.Errorf("%s: %s is answered without an application", way.name, r)
				}
				continue
			}
			reached++
			if !open {
				t.Errorf("%s: %s reached %s as %q %q, and try says %s", way.name, r, report.Service, report.Host,
					report.Path, why)
			}
			arrived := hostileRequest{method: report.Method, path: report.Path, host: report.Host}
			if open, why := arrived.tried(t, m, way.scheme); !open || report.Service != "shop" {
				t.Errorf("%s: %s reached %s as %s, and try says %s of that", way.name, r, report.Service, arrived, why)
			}
		}
	}
	t.Logf("%d requests reached an application, %d did not", reached, refused)
	if reached < n/50 || refused < n {
		t.Error("that proves little")
	}
}

func (r *hostileRequest) vary(g *rand.Rand) {
	pick := func(of ...string) string { return of[g.IntN(len(of))] }
	random := &trytest.Random{Rand: g}
	switch g.IntN(3) {
	case 0:
		r.host = pick("open", "closed", "a.closed", "adm") + ".shop.example"
	case 1:
		r.host = pick(hostileHosts...)
	default:
		host := []byte(pick("open", "closed", "a.closed", "adm") + ".shop.example")
		i := g.IntN(len(host) + 1)
		between := pick(".", ":", "@", "%", "\x00", " ", "\t", ",", "/", "\\", ";", "[", "]", "_", "-", "\xff", "é",
			":80", "%2e", "..", "X", "*", "|", "\"", "'", "<", "^", "`", "{", "~", "!", "$", "&", "(", "+", "=", "?",
			"#")
		r.host = string(host[:i]) + between + string(host[i:])
	}
	if g.IntN(2) == 0 {
		r.path = random.Path()
	}
	if g.IntN(4) == 0 {
		r.path = pick("/admin", "/Admin", "/admin;x", "/%61dmin", "//admin", "/x/../admin", "/admin%2f", "/admin%5c",
			`/\admin`, "/./admin", "/admin\t", "/admin#", "/x%00/admin", "*", "", "admin", "/x/%2e%2e/admin",
			"/x/..%2fadmin", "/%2561dmin")
	}
	r.method = pick("GET", "GET", "GET", "DELETE", "delete", "Delete", "DELETE ", "OPTIONS", "CONNECT", "TRACE", "PRI",
		"POST", "GET\x00")
	if g.IntN(4) == 0 {
		name := pick("x-closed", "X-Closed", "x_closed", "x-closed ", "x-closed\x00")
		r.headers = append(r.headers, [2]string{name, pick("", "1", "\xff")})
	}
	if g.IntN(5) == 0 {
		r.second = pick("open.shop.example", "closed.shop.example", "adm.shop.example")
	}
	r.absolute = g.IntN(5) == 0
}

// tried reports whether the request can reach an application by what try says, and what that is.
func (r hostileRequest) tried(t *testing.T, m *ir.Mesh, scheme string) (open bool, why string) {
	t.Helper()
	q := try.Request{From: try.Sender{Kind: ir.KindGateway, Name: "edge"}, Method: r.method}
	port := map[string]string{"http": "8080", "https": "8443"}[scheme]
	if err := q.ParseURL(scheme + "://open.shop.example:" + port + "/"); err != nil {
		t.Fatal(err)
	}
	if r.absolute { // the host is what a URL has as its host (RFC 3986, section 3.2)
		end := len(r.host)
		if i := strings.IndexAny(r.host, "/?#"); i >= 0 {
			end = i
		}
		r.host, r.path = r.host[strings.LastIndexByte(r.host[:end], '@')+1:end], r.host[end:]+r.path
	}
	if r.host == "" {
		r.host = r.second // Envoy joins them, with nothing between
	}
	q.Path = r.path
	headers := append([][2]string{{"Host", r.host}}, r.headers...)
	for _, h := range headers {
		if err := q.AddHeader(h[0] + ": " + h[1]); err != nil {
			return false, err.Error()
		}
	}
	trial, err := try.Try(m, q)
	if err != nil {
		return false, err.Error()
	}
	if trial.Answer != nil {
		return false, strconv.Itoa(trial.Answer.Status)
	}
	return true, strings.Join(trial.Undecided, ", ")
}

func (r hostileRequest) overHTTP1(t *testing.T, conn net.Conn) (int, *app.Report) {
	t.Helper()
	var b strings.Builder
	path := r.path
	hosts := []string{r.host}
	if r.absolute {
		path, hosts = "http://"+r.host+r.path, []string{"open.shop.example"}
		if r.second != "" {
			hosts = []string{r.second}
		}
	} else if r.second != "" {
		hosts = append(hosts, r.second)
	}
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", r.method, path)
	for _, host := range hosts {
		fmt.Fprintf(&b, "Host: %s\r\n", host)
	}
	for _, h := range r.headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	return raw(t, conn, b.String())
}

func (r hostileRequest) fields() (out [][2]string) {
	out = [][2]string{{":method", r.method}, {":scheme", "https"}, {":path", r.path}, {":authority", r.host}}
	if r.second != "" {
		out = append(out, [2]string{"host", r.second})
	}
	for _, h := range r.headers {
		out = append(out, [2]string{strings.ToLower(h[0]), h[1]})
	}
	return out
}

func (r hostileRequest) overHTTP2(t *testing.T, address string, config *tls.Config) (status int, report *app.Report) {
	t.Helper()
	framer, closes := sendFramesOn(t, address, config, r.fields())
	defer closes()
	var body bytes.Buffer
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return status, nil
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			status, _ = strconv.Atoi(f.PseudoValue("status"))
			if f.StreamEnded() {
				return status, nil
			}
		case *http2.DataFrame:
			body.Write(f.Data())
			if f.StreamEnded() {
				return status, reportOf(body.Bytes())
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return status, nil
		}
	}
}

func reportOf(body []byte) *app.Report {
	var report app.Report
	if json.Unmarshal(body, &report) != nil || report.Service == "" {
		return nil
	}
	return &report
}

// The frames of HTTP/3 (RFC 9114, section 7.2), and the type of the control stream.
const (
	h3Data, h3Headers, h3Settings, h3Control = 0, 1, 4, 0
)

// overHTTP3 writes the frames itself, as clients check what they write.
func (r hostileRequest) overHTTP3(t *testing.T, address string, config *tls.Config) (status int, report *app.Report) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	conn, err := quic.DialAddr(ctx, address, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
	control, err := conn.OpenUniStreamSync(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := control.Write([]byte{h3Control, h3Settings, 0}); err != nil {
		t.Fatal(err)
	}
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var block bytes.Buffer
	encoder := qpack.NewEncoder(&block)
	for _, f := range r.fields() {
		if err := encoder.WriteField(qpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			t.Fatal(err)
		}
	}
	frame := quicvarint.Append([]byte{h3Headers}, uint64(block.Len()))
	if _, err := stream.Write(append(frame, block.Bytes()...)); err != nil {
		return 0, nil
	}
	_ = stream.Close() // the request has no body
	var body bytes.Buffer
	in := bufio.NewReader(stream)
	for {
		kind, err := quicvarint.Read(in)
		if err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s is not answered", r)
			}
			return status, reportOf(body.Bytes())
		}
		length, err := quicvarint.Read(in)
		if err != nil {
			return status, nil
		}
		data := make([]byte, length)
		if _, err := io.ReadFull(in, data); err != nil {
			return status, nil
		}
		switch kind {
		case h3Headers:
			decode := qpack.NewDecoder().Decode(data)
			for f, err := decode(); err == nil; f, err = decode() {
				if f.Name == ":status" {
					status, _ = strconv.Atoi(f.Value)
				}
			}
		case h3Data:
			body.Write(data)
		}
	}
}
