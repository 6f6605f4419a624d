package envoy

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// answers is the callee's application: it says who called, and waits on /slow.
func answers(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/open/slow") {
		select {
		case <-r.Context().Done():
		case <-time.After(10 * time.Second):
		}
	}
	_, _ = io.Copy(io.Discard, r.Body)
	fmt.Fprintf(w, "%s %s", r.URL.Path, r.Header.Get("x-forwarded-client-cert"))
}

const greeting = "secret of the first bytes\n"

// applications starts those of the callee. It returns where they listen, by port of the service.
func (p *pair) applications(t *testing.T) map[string]uint16 {
	t.Helper()
	application := httptest.NewServer(http.HandlerFunc(answers))
	t.Cleanup(application.Close)
	rpcListener := listen(t)
	p.serveRPC(t, rpcListener)
	return map[string]uint16{
		"http": portOf(application.Listener), "grpc": portOf(rpcListener),
		"tcp": portOf(greeter(t)), "closed": portOf(greeter(t)),
	}
}

// serveRPC is the callee's application for gRPC. It answers health checks, and a
// call to test.Slow never, whatever its deadline.
func (p *pair) serveRPC(t *testing.T, l net.Listener) {
	t.Helper()
	rpc := grpc.NewServer()
	healthpb.RegisterHealthServer(rpc, health.NewServer())
	s := &http.Server{
		Protocols: new(http.Protocols),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/test.Slow/") {
				p.deadlines <- r.Header.Get("grpc-timeout")
				<-r.Context().Done()
				return
			}
			rpc.ServeHTTP(w, r)
		}),
	}
	s.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close() })
}

// serverWith is a server with mutual TLS and HTTP/2 that shows the certificate of
// that identity.
func (p *pair) serverWith(t *testing.T, identity string) uint16 {
	s := httptest.NewUnstartedServer(http.HandlerFunc(answers))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are the point
	s.TLS = &tls.Config{
		Certificates: []tls.Certificate{p.authority.leaf(t, identity)},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: p.authority.pool(),
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return portOf(s.Listener)
}

// externalWith is an HTTPS server outside the mesh with a certificate for that
// host. It says which host it was asked for, and by which SNI; at /headers, which headers came.
func (p *pair) externalWith(t *testing.T, host string) uint16 {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/headers" {
			fmt.Fprint(w, strings.Join(slices.Sorted(maps.Keys(r.Header)), " "))
			return
		}
		fmt.Fprintf(w, "%s %s", r.Host, r.TLS.ServerName)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are the point
	s.TLS = &tls.Config{Certificates: []tls.Certificate{p.authority.leaf(t, "", host)}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return portOf(s.Listener)
}

// greeter is an application that speaks first.
func greeter(t *testing.T) net.Listener {
	l := listen(t)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.WriteString(conn, greeting)
				_, _ = io.Copy(io.Discard, conn)
			}()
		}
	}()
	return l
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func portOf(l net.Listener) uint16 { return uint16(l.Addr().(*net.TCPAddr).Port) }
