package envoy

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

func TestTrafficBetweenRealEnvoys(t *testing.T) {
	p := newPair(t)
	through := "http://" + p.bind["server http"]
	eventually(t, "the callee answers", func() error {
		code, body := get(t, through+"/open/a")
		if code != http.StatusOK {
			return fmt.Errorf("%d %s", code, body)
		}
		return nil
	})

	t.Run("the caller's identity is seen", func(t *testing.T) {
		code, body := get(t, through+"/open/a")
		if code != http.StatusOK || !strings.Contains(body, "URI="+identity("client").String()) {
			t.Errorf("got %d %q", code, body)
		}
	})
	t.Run("an identity cannot be claimed by a header", func(t *testing.T) {
		r, _ := http.NewRequest(http.MethodGet, through+"/open/a", nil)
		r.Header.Set("x-forwarded-client-cert", "URI="+identity("stranger").String())
		if code, body := do(t, http.DefaultClient, r); code != http.StatusOK || strings.Contains(body, "stranger") {
			t.Errorf("got %d %q", code, body)
		}
	})
	for path, want := range map[string]int{
		"/other": 403, "/open": 403, "/openx": 403, "/OPEN/a": 403, "/open/../other": 403, "/open/%2e%2e/other": 403,
		"/open/%2e%2e%2e/b": 200, "/open/..%2fother": 400, "/open/%5c..%5cother": 400, "/open/b": 200, "/open///b": 200,
		"/%6fpen/b": 200,
	} {
		t.Run(fmt.Sprintf("%s is %d", path, want), func(t *testing.T) {
			r, _ := http.NewRequest(http.MethodGet, through, nil)
			r.URL.Opaque = path
			if code, body := do(t, http.DefaultClient, r); code != want {
				t.Errorf("got %d %q", code, body)
			}
		})
	}
	t.Run("a method that is not allowed is 403", func(t *testing.T) {
		r, _ := http.NewRequest(http.MethodDelete, through+"/open/a", nil)
		if code, _ := do(t, http.DefaultClient, r); code != http.StatusForbidden {
			t.Errorf("got %d", code)
		}
	})
	t.Run("plaintext is refused", func(t *testing.T) {
		if answer, err := (&http.Client{Transport: &http.Transport{}}).
			Get("http://" + p.inbound["http"] + "/open/a"); err == nil {
			answer.Body.Close()
			t.Errorf("got %s", answer.Status)
		}
	})
	t.Run("a callee with another identity is refused", func(t *testing.T) {
		if code, body := get(t, "http://"+p.bind["genuine http"]+"/open/a"); code != http.StatusOK {
			t.Errorf("the genuine one: got %d %q", code, body)
		}
		if code, body := get(t, "http://"+p.bind["impostor http"]+"/open/a"); code != http.StatusServiceUnavailable {
			t.Errorf("the impostor: got %d %q", code, body)
		}
	})
	t.Run("statistics have one name and the callee as a label", func(t *testing.T) {
		_, stats := get(t, fmt.Sprintf("http://127.0.0.1:%d/stats/prometheus", p.mesh.Service("client").
			Proxy.AdminPort))
		for _, want := range []string{
			`envoy_cluster_upstream_rq_total{envoy_cluster_name="server_shop|http"} `,
			`envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix="outbound|server_shop|http"} `,
			`envoy_meshc_http_client_requests{caller="spiffe://shop.example/ns/shop/sa/client",callee="server.shop",`,
		} {
			if !strings.Contains(stats, want) {
				t.Errorf("there is no %s", want)
			}
		}
	})
	t.Run("externals", func(t *testing.T) { p.testExternals(t) })
	t.Run("callers", func(t *testing.T) { p.testCallers(t) })
	t.Run("bytes", func(t *testing.T) { p.testBytes(t) })
	t.Run("timeouts", func(t *testing.T) { p.testTimeouts(t) })
}

// testExternals calls servers outside the mesh.
func (p *pair) testExternals(t *testing.T) {
	for name, want := range map[string]int{"api": 200, "wildcard": 200, "wrong": 503} {
		t.Run(name, func(t *testing.T) {
			code, body := get(t, "http://"+p.bind[name]+"/")
			if code != want || want == 200 && body != "api.example api.example" {
				t.Errorf("got %d %q", code, body)
			}
		})
	}
	t.Run("an external gets the headers that the application sent, and the id of the request", func(t *testing.T) {
		if code, body := get(t, "http://"+p.bind["api"]+"/headers"); code != http.StatusOK ||
			body != "Accept-Encoding User-Agent X-Request-Id" {
			t.Errorf("got %d %q", code, body)
		}
	})
}

// testCallers calls the callee's proxy by hand.
func (p *pair) testCallers(t *testing.T) {
	client, stranger := p.authority.leaf(t, identity("client").String()), p.authority.leaf(t, identity("stranger").
		String())
	foreign, other := p.authority.leaf(t, "spiffe://elsewhere.example/ns/shop/sa/client"), newAuthority(t).
		leaf(t, identity("client").String())
	dns := p.authority.leaf(t, "", "client.shop")
	for name, c := range map[string]struct {
		leaf *tls.Certificate
		want int // 0: no TLS
	}{
		"the caller": {&client, 200}, "another member": {&stranger, 403}, "nobody": {nil, 0},
		"another trust domain": {&foreign, 0}, "another authority": {&other, 0}, "no SPIFFE identity": {&dns, 0},
	} {
		for _, alpn := range []string{"http/1.1", "h2"} {
			t.Run(name+" with "+alpn, func(t *testing.T) {
				transport := &http.Transport{TLSClientConfig: p.as(c.leaf), ForceAttemptHTTP2: alpn == "h2"}
				defer transport.CloseIdleConnections()
				r, _ := http.NewRequest(http.MethodGet, "https://"+p.inbound["http"]+"/open/a", nil)
				answer, err := transport.RoundTrip(r)
				if err != nil {
					if c.want != 0 {
						t.Error(err)
					}
					return
				}
				answer.Body.Close()
				if answer.StatusCode != c.want {
					t.Errorf("got %s", answer.Status)
				}
			})
		}
	}
	t.Run("TLS 1.2", func(t *testing.T) {
		config := p.as(&client)
		config.MaxVersion = tls.VersionTLS12
		if conn, err := tls.Dial("tcp", p.inbound["http"], config); err == nil {
			conn.Close()
			t.Error("it is taken")
		}
	})
}

// testBytes reads from applications that speak first.
func (p *pair) testBytes(t *testing.T) {
	if got := firstBytes(t, "tcp", p.bind["server tcp"], nil); got != greeting {
		t.Errorf("the caller: got %q", got)
	}
	client, stranger := p.authority.leaf(t, identity("client").String()), p.authority.leaf(t, identity("stranger").
		String())
	for name, c := range map[string]struct {
		leaf *tls.Certificate
		port string
	}{"another member": {&stranger, "tcp"}, "nobody": {nil, "tcp"}, "a port that no rule opens": {&client, "closed"}} {
		if got := firstBytes(t, "tcp", p.inbound[c.port], p.as(c.leaf)); got != "" {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// testTimeouts has half a second for each call, of which nothing may move for two.
func (p *pair) testTimeouts(t *testing.T) {
	const bound, idle = 500 * time.Millisecond, 2 * time.Second
	within := func(t *testing.T, begin time.Time, bound time.Duration) {
		t.Helper()
		if d := time.Since(begin); d < bound-100*time.Millisecond || d > bound+2500*time.Millisecond {
			t.Errorf("after %s", d)
		}
	}
	t.Run("an answer that does not come", func(t *testing.T) {
		begin := time.Now()
		if code, _ := get(t, "http://"+p.bind["server http"]+"/open/slow"); code != http.StatusGatewayTimeout {
			t.Errorf("got %d", code)
		}
		within(t, begin, bound)
	})
	t.Run("a request that stops", func(t *testing.T) {
		conn, err := net.Dial("tcp", p.bind["server http"])
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		begin := time.Now()
		if err := conn.SetDeadline(begin.Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, "POST /open/a HTTP/1.1\r\nHost: server\r\nContent-Length: 10\r\n\r\nx") // 2 s of idleness end it
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusRequestTimeout {
			t.Errorf("got %s", answer.Status)
		}
		within(t, begin, idle)
	})
	conn, err := grpc.NewClient("passthrough:///"+p.bind["server grpc"],
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Run("gRPC works", func(t *testing.T) {
		if _, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
			t.Error(err)
		}
	})
	for name, c := range map[string]struct {
		deadline time.Duration
		told     time.Duration // to the callee by grpc-timeout, at most
	}{
		"a long deadline":  {20 * time.Second, bound},
		"a short deadline": {bound / 2, bound / 2},
		"no deadline":      {0, bound},
	} {
		t.Run("gRPC that does not answer, with "+name, func(t *testing.T) {
			ctx := t.Context()
			if c.deadline > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, c.deadline)
				defer cancel()
			}
			begin := time.Now()
			err := conn.Invoke(ctx, "/test.Slow/Call", &healthpb.HealthCheckRequest{}, &healthpb.HealthCheckResponse{})
			if status.Code(err) != codes.DeadlineExceeded {
				t.Errorf("got %v", err)
			}
			within(t, begin, c.told)
			if told := grpcTimeout(t, <-p.deadlines); told > c.told+answerFirst || told < c.told/2 {
				t.Errorf("the callee was told %v, not up to %v", told, c.told)
			}
		})
	}
}

// grpcTimeout reads the header grpc-timeout, whose units are those of
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
func grpcTimeout(t *testing.T, value string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(strings.NewReplacer("m", "ms", "u", "us", "n", "ns").Replace(value))
	if err != nil {
		t.Fatalf("grpc-timeout: %q: %v", value, err)
	}
	return d
}
