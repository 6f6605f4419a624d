package app

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

// chain starts frontend, checkout (gRPC), payment (HTTP/2) and store (TCP),
// each knowing the next.
func chain(t *testing.T) (first *App, base string) {
	t.Helper()
	var next []Upstream
	for i, p := range []Port{
		{"tcp", "tcp", "127.0.0.1:0"},
		{"http2", "http2", "127.0.0.1:0"},
		{"grpc", "grpc", "127.0.0.1:0"},
		{"http", "http", "127.0.0.1:0"},
	} {
		name := []string{"store", "payment", "checkout", "frontend"}[i]
		a, err := Start(Config{Service: name, Version: "v1", Ports: []Port{p}, Upstreams: next})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(a.Close)
		next = []Upstream{{name, p.Name, 80, p.Protocol, []string{name}, a.Address(p.Name)}}
		first = a
	}
	return first, "http://" + first.Address("http")
}

func get(t *testing.T, url string) (int, Report) {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var r Report
	if answer.StatusCode == http.StatusOK {
		if err := json.Unmarshal(body, &r); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
	}
	return answer.StatusCode, r
}

func TestChainOverEveryProtocol(t *testing.T) {
	_, base := chain(t)
	_, r := get(t, base+"/start?via="+url.QueryEscape("checkout:/shop.Checkout/Place,payment:POST:/charge?a=b,store"))
	var got []string
	for _, hop := range r.Hops() {
		got = append(got, fmt.Sprint(hop.Service, " ", hop.Protocol, " ", hop.Method))
	}
	want := "[frontend HTTP/1.1 GET checkout HTTP/2.0 POST payment HTTP/2.0 POST store TCP ]"
	if fmt.Sprint(got) != want {
		t.Errorf("hops %s, want %s; report %+v", got, want, r)
	}
}

func TestUnknownUpstream(t *testing.T) {
	_, base := chain(t)
	if _, r := get(t, base+"/?via=nobody"); len(r.Calls) != 1 ||
		r.Calls[0].Error != `"nobody" is not among the upstreams` {
		t.Errorf("calls %+v", r.Calls)
	}
}

func TestFailThenSucceed(t *testing.T) {
	a, base := chain(t)
	for _, want := range []int{503, 503, 200, 503} {
		if status, _ := get(t, base+"/?fail=2&key=k"); status != want {
			t.Errorf("status %d, want %d", status, want)
		}
	}
	if status, _ := get(t, base+"/?fail=2&key=other&status=500"); status != 500 {
		t.Errorf("status %d, want 500 for another key", status)
	}
	if a.Total() != 5 || len(a.Requests()) != 5 {
		t.Errorf("%d requests, %d kept, want 5", a.Total(), len(a.Requests()))
	}
}

func TestFailedGRPC(t *testing.T) {
	a, _ := chain(t)
	call := a.Caller().Call(t.Context(), "checkout:/shop.Checkout/Place?fail=1&key=g", nil)
	if call.Code != "Unavailable" || call.Error != "told to fail" {
		t.Errorf("call %+v", call)
	}
	if call = a.Caller().Call(t.Context(), "checkout:/shop.Checkout/Place?fail=1&key=g", nil); call.Code != "OK" {
		t.Errorf("call %+v", call)
	}
}

func TestReset(t *testing.T) {
	_, base := chain(t)
	if _, err := http.Get(base + "/?reset=true"); err == nil {
		t.Error("an answer came over a connection that was to be closed")
	}
}

func TestDelay(t *testing.T) {
	_, base := chain(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/?delay=1m", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := http.DefaultClient.Do(r); err == nil {
		t.Error("an answer came before the delay was over")
	}
}

func TestHealth(t *testing.T) {
	a, _ := chain(t)
	conn, err := a.caller.GRPC("checkout:80")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answer, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil || answer.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("health %v, %v", answer, err)
	}
}

func TestEchoLines(t *testing.T) {
	a, err := Start(Config{Service: "store", Version: "v2", Ports: []Port{{"tcp", "tcp", "127.0.0.1:0"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	c, err := net.Dial("tcp", a.Address("tcp"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "one\ntwo\n")
	r := bufio.NewReader(c)
	for _, want := range []string{"store v2: one\n", "store v2: two\n"} {
		if line, err := r.ReadString('\n'); line != want || err != nil {
			t.Errorf("line %q, %v, want %q", line, err, want)
		}
	}
}

func TestPeer(t *testing.T) {
	for xfcc, want := range map[string]string{
		"": "",
		"By=spiffe://x/b;Hash=1;URI=spiffe://x/a":                             "spiffe://x/a",
		"By=spiffe://x/b;URI=spiffe://x/far,By=spiffe://x/b;URI=spiffe://x/a": "spiffe://x/a",
	} {
		if got := peer(xfcc); got != want {
			t.Errorf("peer of %q is %q, want %q", xfcc, got, want)
		}
	}
}
