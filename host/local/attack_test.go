package local

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/meshc/meshc/host/app"
	"github.com/meshc/meshc/identity/ca"
)

// raw sends bytes and reads an answer of HTTP/1.1; status 0 when the connection was
// closed without one.
func raw(t *testing.T, conn net.Conn, text string) (int, *app.Report) {
	t.Helper()
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, text) // it may be closed already
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		var late net.Error
		if errors.As(err, &late) && late.Timeout() {
			t.Errorf("no answer to %.60q", text)
		}
		return 0, nil
	}
	defer answer.Body.Close()
	var report app.Report
	if json.NewDecoder(answer.Body).Decode(&report) != nil {
		return answer.StatusCode, nil
	}
	return answer.StatusCode, &report
}

// A host that a gateway's route refuses gets past it in no spelling.
func TestSpellingsOfAHost(t *testing.T) {
	address := strings.TrimPrefix(rulesMesh(t).Gateway("hosts").URL, "http://")
	for _, c := range []struct {
		line, headers string
		status        int
	}{
		{"GET / HTTP/1.1", "Host: other.example\r\n", 200},
		{"GET / HTTP/1.1", "Host: admin.example\r\n", 418},
		{"GET / HTTP/1.1", "Host: ADMIN.example\r\n", 418},
		{"GET / HTTP/1.1", "Host: Admin.Example:80\r\n", 418},
		{"GET / HTTP/1.1", "Host: admin.example:8443\r\n", 418},
		{"GET / HTTP/1.1", "Host: admin.example.\r\n", 418},
		{"GET / HTTP/1.1", "Host: admin.example.:80\r\n", 418},
		{"GET / HTTP/1.1", "Host:    admin.example   \r\n", 418},
		{"GET http://admin.example/ HTTP/1.1", "Host: other.example\r\n", 418},
		{"GET http://ADMIN.EXAMPLE:80/ HTTP/1.1", "Host: other.example\r\n", 418},
		{"GET / HTTP/1.1", "Host: other.example\r\nHost: admin.example\r\n", 400},
		{"GET / HTTP/1.1", "Host: admin.example\r\nHost: other.example\r\n", 400},
		{"GET / HTTP/1.1", "Host: other.example,admin.example\r\n", 400},
		{"GET / HTTP/1.1", "Host: other.example, admin.example\r\n", 400},
		{"GET / HTTP/1.1", "Host: admin.example/\r\n", 400},
		{"GET / HTTP/1.1", "Host: user@admin.example\r\n", 400},
		{"GET / HTTP/1.1", "Host: admin.example#x\r\n", 400},
		{"GET / HTTP/1.1", "Host: admin.example\x00\r\n", 400},
		{"GET / HTTP/1.1", "Host : admin.example\r\n", 400},
		{"GET / HTTP/1.1", "", 400},
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		status, report := raw(t, conn, c.line+"\r\n"+c.headers+"\r\n")
		if status != c.status {
			reached := ""
			if report != nil {
				reached = fmt.Sprintf(", as %q", report.Host)
			}
			t.Errorf("%s %q: status %d%s, want %d", c.line, c.headers, status, reached, c.status)
		}
	}
	// A host that is only claimed beside the real one reaches nobody under that name.
	for _, name := range []string{"X-Forwarded-Host", "X-Host", "Forwarded", "X-Original-Host"} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		status, report := raw(t, conn, "GET / HTTP/1.1\r\nHost: other.example\r\n"+name+": admin.example\r\n\r\n")
		if status != 200 || report == nil || report.Host != "other.example" {
			t.Errorf("%s: status %d, %+v", name, status, report)
		}
	}
}

// No header makes the proxy, or the application, take a caller for another one, or a
// request for another one than the rules saw.
func TestHeadersThatLie(t *testing.T) {
	mesh := sharedShop(t)
	config := asMember(t, mesh, "service/checkout")
	config.NextProtos = []string{"http/1.1"}
	const caller = "spiffe://shop.example/ns/shop/sa/checkout"
	for _, headers := range []string{
		"X-Forwarded-Client-Cert: URI=spiffe://shop.example/ns/shop/sa/root\r\n",
		"X-Forwarded-Client-Cert: By=x;URI=spiffe://shop.example/ns/shop/sa/root,By=y\r\nX-Forwarded-Client-Cert: URI=spiffe://shop.example/ns/shop/sa/admin\r\n",
		"Connection: X-Forwarded-Client-Cert\r\n",
		"Connection: close, x-forwarded-client-cert, x-request-id\r\n",
		"TE: trailers\r\nConnection: TE\r\n",
		"X-Original-URL: /refund\r\nX-Rewrite-URL: /refund\r\nX-Envoy-Original-Path: /refund\r\n",
		"X-HTTP-Method-Override: DELETE\r\nX-HTTP-Method: DELETE\r\nX-Method-Override: DELETE\r\n",
		"X-Envoy-Internal: true\r\nX-Envoy-Retry-On: 5xx\r\nX-Envoy-Max-Retries: 10\r\nX-Envoy-Upstream-Rq-Timeout-Ms: 1\r\n",
		"X-Envoy-Decorator-Operation: x\r\nX-Envoy-Downstream-Service-Cluster: root\r\n",
		"X-Forwarded-For: 10.0.0.1\r\nX-Real-IP: 10.0.0.1\r\nForwarded: for=10.0.0.1\r\n",
		"Expect: 100-continue\r\n",
		"X_Forwarded_Client_Cert: URI=spiffe://shop.example/ns/shop/sa/root\r\n",            // dropped
		"X-A: 1\r\n X-Forwarded-Client-Cert: URI=spiffe://shop.example/ns/shop/sa/root\r\n", // one header, folded
	} {
		conn, err := tls.Dial("tcp", inbound(mesh, "payment", "http"), config)
		if err != nil {
			t.Fatal(err)
		}
		status, report := raw(t, conn, "POST /charge HTTP/1.1\r\nHost: payment\r\nContent-Length: 0\r\n"+headers+"\r\n")
		switch {
		case status == 100 || status == 400: // refused, or asked to go on
		case status != 200 || report == nil:
			t.Errorf("%q: status %d", headers, status)
		case report.Peer != caller || report.Method != http.MethodPost || report.Path != "/charge":
			t.Errorf("%q: the application takes it for %s %s of %s", headers, report.Method, report.Path, report.Peer)
		}
	}
	for i, refused := range []string{
		"x-level : high\r\n", "X-A: a\x00b\r\n", ": no name\r\n", "X-A\r\n",
		"Transfer-Encoding: xchunked\r\n",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "Content-Length: +1\r\n",
		"Content-Length: 1, 2\r\n",
	} {
		conn, err := tls.Dial("tcp", inbound(mesh, "payment", "http"), config)
		if err != nil {
			t.Fatal(err)
		}
		path := fmt.Sprintf("/charge?refused=%d", i)
		if status, _ := raw(t, conn, "POST "+path+" HTTP/1.1\r\nHost: payment\r\n"+refused+"\r\n"); status == 200 ||
			len(seen(mesh.Backend("payment", "a"), path)) > 0 {
			t.Errorf("%q: status %d, or it reached the application", refused, status)
		}
	}
}

// sendFrames opens a connection of HTTP/2 and sends requests with exactly those fields, on the streams 1, 3 and so on.
// The answers are read from the framer.
func sendFrames(t *testing.T, address string, config *tls.Config, requests ...[][2]string) *http2.Framer {
	t.Helper()
	framer, closes := sendFramesOn(t, address, config, requests...)
	t.Cleanup(closes)
	return framer
}

// sendFramesOn is sendFrames on a connection that the caller closes.
func sendFramesOn(t *testing.T, address string, config *tls.Config, requests ...[][2]string) (*http2.Framer, func()) {
	t.Helper()
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	framer.AllowIllegalWrites = true
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	errs := []error{framer.WriteSettings()}
	for i, fields := range requests {
		block.Reset()
		for _, f := range fields {
			errs = append(errs, encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}))
		}
		errs = append(errs, framer.WriteHeaders(http2.HeadersFrameParam{
			StreamID: uint32(2*i + 1), BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true,
		}))
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return framer, func() { conn.Close() }
}

// frames sends one request of HTTP/2 with exactly those fields, and returns its status;
// "" when the stream or the connection was ended without one.
func frames(t *testing.T, address string, config *tls.Config, fields [][2]string) string {
	t.Helper()
	framer := sendFrames(t, address, config, fields)
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return ""
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			return f.PseudoValue("status")
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return ""
		}
	}
}

// Requests of HTTP/2 whose pseudo headers are not as they must be reach nobody, and
// those that mean another request are judged as that one.
func TestPseudoHeaders(t *testing.T) {
	mesh := sharedShop(t)
	config := asMember(t, mesh, "service/checkout")
	config.NextProtos = []string{"h2"}
	field := func(name, value string) [2]string { return [2]string{name, value} }
	post := [][2]string{
		field(":method", "POST"), field(":scheme", "https"), field(":path", "/charge"),
		field(":authority", "payment"),
	}
	for name, c := range map[string]struct {
		fields [][2]string
		status string
	}{
		"as it should be":            {post, "200"},
		"another path":               {[][2]string{post[0], post[1], field(":path", "/admin"), post[3]}, "403"},
		"another method":             {[][2]string{field(":method", "GET"), post[1], post[2], post[3]}, "403"},
		"a method in lower case":     {[][2]string{field(":method", "post"), post[1], post[2], post[3]}, "400"},
		"two paths":                  {append(post[:4:4], field(":path", "/admin")), ""},
		"two methods":                {append(post[:4:4], field(":method", "GET")), ""},
		"two authorities":            {append(post[:4:4], field(":authority", "catalog")), ""},
		"a path behind the headers":  {[][2]string{post[0], post[1], post[3], field("x-a", "1"), post[2]}, ""},
		"no path":                    {[][2]string{post[0], post[1], post[3]}, ""},
		"an empty path":              {[][2]string{post[0], post[1], field(":path", ""), post[3]}, ""},
		"no method":                  {post[1:], ""},
		"a pseudo header of answers": {append(post[:4:4], field(":status", "200")), ""},
		"an unknown pseudo header":   {append(post[:4:4], field(":admin", "1")), ""},
		"a name in upper case":       {append(post[:4:4], field("X-A", "1")), ""},
		"a header of the connection": {append(post[:4:4], field("connection", "close")), ""},
		"a transfer encoding":        {append(post[:4:4], field("transfer-encoding", "chunked")), ""},
		"a line break in a value":    {append(post[:4:4], field("x-a", "1\r\nx-b: 2")), ""},
		"a line break in the path":   {[][2]string{post[0], post[1], field(":path", "/charge\r\nx: y"), post[3]}, ""},
		"a tunnel": {
			[][2]string{field(":method", "CONNECT"), field(":authority", "payment:9000")},
			"403",
		},
		"a tunnel of a protocol": {[][2]string{
			field(":method", "CONNECT"), field(":protocol", "websocket"),
			post[1], post[2], post[3],
		}, ""},
		"dots in the path": {
			[][2]string{post[0], post[1], field(":path", "/charge/../admin"), post[3]},
			"403",
		},
		"an escaped slash": {
			[][2]string{post[0], post[1], field(":path", "/charge%2f..%2fadmin"), post[3]},
			"400",
		},
		"the absolute form": {[][2]string{
			post[0], post[1], field(":path", "https://payment/charge"),
			post[3],
		}, ""},
		"a host beside the authority": {append(post[:4:4], field("host", "catalog")), "200"},
	} {
		total := func() int { return len(mesh.Backend("payment", "a").Requests()) }
		before := total()
		status := frames(t, inbound(mesh, "payment", "http"), config, c.fields)
		if status != c.status && !(c.status == "" && (status == "400" || status == "404" || status == "403")) {
			t.Errorf("%s: status %q, want %q", name, status, c.status)
		}
		if reached := total() != before; reached != (c.status == "200") {
			t.Errorf("%s: reached the application: %t", name, reached)
		}
	}
}

// A client that names one host in the handshake and another in the request gets what
// the listener of the handshake has for it, and no more.
func TestSNIAgainstHost(t *testing.T) {
	for sni, host := range map[string]string{"shop.example": "a.partner.example", "a.partner.example": "shop.example"} {
		client, address := edge(t, "https", sni, nil)
		for _, spelled := range []string{host, strings.ToUpper(host), host + ".", host + ":443"} {
			a, err := trySend(t.Context(), client, http.MethodGet, "https://"+address+"/health", "host", spelled)
			if err == nil && a.status != http.StatusMisdirectedRequest {
				t.Errorf("SNI %s, host %s: status %d", sni, spelled, a.status)
			}
		}
	}
}

// Certificates that are not a member's, or not any more, open no door, at the callee's
// proxy and at the caller's.
func TestCertificatesThatOpenNothing(t *testing.T) {
	mesh := sharedShop(t)
	address := inbound(mesh, "payment", "http")
	checkout := spiffeid.RequireFromString("spiffe://shop.example/ns/shop/sa/checkout")
	other, err := ca.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	issued := func(a *ca.Authority, id string, life time.Duration) *tls.Certificate {
		c, err := a.Certificate(spiffeid.RequireFromString(id), life)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	own := mesh.authority
	for name, c := range map[string]struct {
		certificate *tls.Certificate
		status      int // 0 for a refused handshake
	}{
		"a good one":           {issued(own, checkout.String(), time.Hour), 200},
		"none":                 {nil, 0},
		"of another authority": {issued(other, checkout.String(), time.Hour), 0},
		"signed by itself":     {selfSigned(t, checkout.URL(), time.Hour), 0},
		"of another trust domain": {
			issued(own, "spiffe://shop.example.evil/ns/shop/sa/checkout", time.Hour),
			0,
		},
		"of a trust domain in upper case": {selfSigned(t, &url.URL{
			Scheme: "spiffe", Host: "SHOP.example",
			Path: checkout.Path(),
		}, time.Hour), 0},
		"of another service":   {issued(own, "spiffe://shop.example/ns/shop/sa/cart", time.Hour), 403},
		"of a longer name":     {issued(own, checkout.String()+"x", time.Hour), 403},
		"of another namespace": {issued(own, "spiffe://shop.example/ns/other/sa/checkout", time.Hour), 403},
		"of the server": {
			issued(own, "spiffe://shop.example/ns/shop-system/sa/meshc", time.Hour),
			403,
		},
		"with a slash too many": {selfSigned(t, &url.URL{
			Scheme: "spiffe", Host: "shop.example",
			Path: "//ns/shop/sa/checkout",
		}, time.Hour), 0},
	} {
		config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}
		if c.certificate != nil {
			config.Certificates = []tls.Certificate{*c.certificate}
		}
		client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
			TLSClientConfig:   config,
			DisableKeepAlives: true,
		}}
		a, err := trySend(t.Context(), client, http.MethodPost, "https://"+address+"/charge")
		if a.status != c.status || (err == nil) != (c.status != 0) {
			t.Errorf("%s: status %d, %v; want %d", name, a.status, err, c.status)
		}
	}
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12} {
		config := asMember(t, mesh, "service/checkout")
		config.MinVersion, config.MaxVersion = tls.VersionTLS10, version
		if conn, err := tls.Dial("tcp", address, config); err == nil {
			conn.Close()
			t.Errorf("TLS version %#x is taken", version)
		}
	}
}

// selfSigned is a certificate of an identity that nobody signed.
func selfSigned(t testing.TB, id *url.URL, life time.Duration) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().
				Add(life), URIs: []*url.URL{id},
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}
