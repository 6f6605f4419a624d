package local

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

const redirecting = `package m

mesh: {name: "m", trustDomain: "m.example"}
services: {
	caller: {workload: deployment: "caller", uses: shop: {}}
	shop: {
		workload: deployment: "shop"
		ports: http: {port: 8080, protocol: "http"}
		allow: [{from: {gateways: ["lb"], services: ["caller"]}}]
		routes: [{match: path: exact: "/moved", redirect: path: "/to"}]
	}
}
gateways: lb: {
	listeners: {
		none: port: 8080
		hop: {port: 8081, clientIPDetection: numTrustedHops: 1}
		secure: {port: 8443, tls: secret: "a"}
	}
	routes: [
		{match: path: exact: "/here", redirect: path: "/there"},
		{to: [{service: "shop"}]},
	]
	uses: shop: {}
}
`

// A redirect that names no scheme leads to the one by which the client came, whatever the request says of itself: the
// listener's, or behind a load balancer what that says. A client of TLS that is sent to http would be sent back, again
// and again. The reports of users are envoyproxy/envoy#17372, traefik/traefik#5830 and fabiolb/fabio#466.
//
// Field: routes.redirect
func TestRedirectsKeepTheScheme(t *testing.T) {
	m := inline(t, map[string]string{"mesh.cue": redirecting})
	mesh := start(t, m)
	for _, c := range []struct {
		listener, path string
		proto, want    string
	}{
		{"none", "/here", "", "http"},
		{"none", "/here", "https", "http"}, // nobody in front is trusted
		{"none", "/moved", "https", "http"},
		{"hop", "/here", "", "http"},
		{"hop", "/here", "https", "https"},
		{"hop", "/here", "HTTPS", "https"},
		{"hop", "/here", "gopher", "http"},
		{"hop", "/moved", "https", "https"},
		{"secure", "/here", "", "https"},
		{"secure", "/here", "http", "https"},
		{"secure", "/moved", "", "https"},
		{"", "/moved", "", "http"}, // by the caller's own proxy, whose application is believed
		{"", "/moved", "https", "https"},
	} {
		r := try.Request{
			From: try.Sender{Kind: ir.KindService, Name: "caller"}, Method: "GET", Scheme: "http",
			Host: "shop", Port: 8080, Path: c.path,
		}
		if c.listener != "" {
			l := m.Gateway("lb").Listener(c.listener)
			r.From, r.Host, r.Port = try.Sender{Kind: ir.KindGateway, Name: "lb"}, "x.example", l.Port
			if l.TLS != nil {
				r.Scheme = "https"
			}
		}
		var headers []string
		if c.proto != "" {
			headers = []string{"x-forwarded-proto", c.proto}
			r.Headers = []ir.Header{{Name: headers[0], Value: headers[1]}}
		}
		trial, err := try.Try(m, r)
		if err != nil || trial.Answer == nil || !strings.HasPrefix(trial.Answer.Location, c.want+"://") {
			t.Errorf("%+v: try says %+v, %v", c, trial.Answer, err)
			continue
		}
		for _, form := range []string{"HTTP/1.1", "HTTP/1.1 absolute", "HTTP/2 http", "HTTP/2 https"} {
			conn, err := mesh.As("caller").Dial(t.Context(), "shop:8080")
			if c.listener != "" {
				conn, err = dialedTo(mesh.Gateway("lb").Listeners[c.listener], form)
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := redirected(conn, form, r.Host+":"+fmt.Sprint(r.Port), c.path, headers)
			if got != trial.Answer.Location {
				t.Errorf("%+v, %s: to %q, want %q (%v)", c, form, got, trial.Answer.Location, err)
			}
			_ = conn.Close()
		}
	}
}

// dialedTo is a connection to a listener, for requests of a form.
func dialedTo(url, form string) (net.Conn, error) {
	scheme, address, _ := strings.Cut(url, "://")
	if scheme != "https" {
		return net.Dial("tcp", address)
	}
	config := &tls.Config{InsecureSkipVerify: true, ServerName: "x.example"}
	if strings.HasPrefix(form, "HTTP/2") {
		config.NextProtos = []string{"h2"}
	}
	return tls.Dial("tcp", address, config)
}

// redirected sends a request of a form, and returns where it is redirected to.
func redirected(conn net.Conn, form, host, path string, headers []string) (string, error) {
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return "", err
	}
	version, variant, _ := strings.Cut(form, " ")
	if version == "HTTP/2" {
		r, err := http.NewRequest(http.MethodGet, variant+"://"+host+path, nil)
		if err != nil {
			return "", err
		}
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		answer, err := sentByHTTP2(conn, r)
		if err != nil {
			return "", err
		}
		return answer.Header.Get("location"), answer.Body.Close()
	}
	target, lines := path, ""
	if variant == "absolute" {
		target = "http://" + host + path
	}
	for i := 0; i < len(headers); i += 2 {
		lines += headers[i] + ": " + headers[i+1] + "\r\n"
	}
	if _, err := io.WriteString(conn, "GET "+target+" HTTP/1.1\r\nhost: "+host+"\r\n"+lines+"\r\n"); err != nil {
		return "", err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	return answer.Header.Get("location"), answer.Body.Close()
}
