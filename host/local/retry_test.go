package local

import (
	"net/http"
	"testing"
	"time"
)

// frontend's calls to catalog are tried again three times, and no more.
//
// Field: retries.attempts
// Field: retries.on
// Field: retries.budget
func TestRetriesAreExactlyThoseWritten(t *testing.T) {
	mesh := sharedShop(t)
	tries := func(path string) int {
		return len(seen(mesh.Backend("catalog", "v1"), path)) + len(seen(mesh.Backend("catalog", "v2"), path))
	}
	frontend := mesh.As("frontend").Client()
	for _, c := range []struct {
		method, path  string
		status, tries int
	}{
		{"GET", "/products/1?key=r0", 200, 1},
		{"GET", "/products/1?fail=1&key=r1", 200, 2},
		{"GET", "/products/1?fail=3&key=r3", 200, 4},
		{"GET", "/products/1?fail=9&key=r9", 503, 4},
		{"GET", "/products/1?fail=9&key=r4&status=404", 404, 1}, // not what is retried on
		{"POST", "/products/1?reset=true&key=rr", 503, 4},
	} {
		a := send(t, frontend, c.method, "http://catalog:3550"+c.path)
		if n := tries(c.path); a.status != c.status || n != c.tries {
			t.Errorf("%s %s: %d after %d tries, want %d after %d", c.method, c.path, a.status, n, c.status, c.tries)
		}
	}
	// The gateway calls the same service and has no retries.
	const path = "/products?fail=1&key=gateway"
	a := send(t, http.DefaultClient, http.MethodGet, mesh.Gateway("public").URL+path)
	if n := tries(path); a.status != http.StatusServiceUnavailable || n != 1 {
		t.Errorf("the gateway got %d after %d tries, want 503 after 1", a.status, n)
	}
}

// A call of gRPC that is UNAVAILABLE is tried again.
//
// Field: retries.on
func TestGRPCIsRetriedWhenUnavailable(t *testing.T) {
	mesh := sharedShop(t)
	for chain, code := range map[string]string{
		"checkout:/shop.Checkout/Place?fail=2&key=g2": "OK", // two retries are written
		"checkout:/shop.Checkout/Place?fail=3&key=g3": "Unavailable",
	} {
		if call := mesh.As("frontend").Call(t.Context(), chain, nil); call.Code != code {
			t.Errorf("%s: %+v, want %s", chain, call, code)
		}
	}
}

// The timeout nearest to the caller holds: frontend's 800ms for cart, not the
// 500ms of cart's route and not its 2s, in which the answer would come.
//
// Field: timeout
// Field: routes.timeout
// Field: uses.timeout
func TestTimeoutInTime(t *testing.T) {
	mesh := sharedShop(t)
	for _, c := range []struct {
		caller, url string
		timeout     time.Duration
	}{
		{"frontend", "http://cart:7070/v1/cart/7?delay=1500ms", 800 * time.Millisecond},
		{"frontend", "http://cart:7070/?delay=1500ms", 800 * time.Millisecond},
		{"checkout", "http://cart:7070/v1/cart/7?delay=1500ms", 500 * time.Millisecond},
		{"checkout", "http://cart:7070/checkout?delay=1500ms", time.Second},
	} {
		t.Run(c.caller+" "+c.url, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			a := send(t, mesh.As(c.caller).Client(), http.MethodGet, c.url)
			if took := time.Since(begun); a.status != http.StatusGatewayTimeout ||
				took < c.timeout-10*time.Millisecond {
				t.Errorf("%d after %s, want 504 and no earlier than after %s", a.status, took.Round(time.Millisecond),
					c.timeout)
			}
		})
	}
}

// A try that takes longer than its own 900ms is given up and made again.
//
// Field: retries.perTryTimeout
func TestEachTryHasItsTime(t *testing.T) {
	mesh := sharedShop(t)
	const path = "/shop.Checkout/Slow?delay=10s"
	begun := time.Now()
	a := send(t, mesh.As("frontend").Client(), http.MethodPost, "http://checkout:5050"+path)
	took := time.Since(begun)
	if n := len(seen(mesh.Backend("checkout", "v1"), path)) + len(seen(mesh.Backend("checkout", "v2"),
		path)); a.status != http.StatusGatewayTimeout || n != 3 {
		t.Errorf("%d after %d tries, want 504 after 3", a.status, n)
	}
	if took < 2700*time.Millisecond-10*time.Millisecond {
		t.Errorf("it took %s, want 3 tries of 900ms", took)
	}
}

// A try that takes too long is made again whatever is written in on, also where all tries take exactly the timeout,
// and the only try is bounded too. Users' reports:
// istio/istio#55748 and #17613.
//
// Field: retries.perTryTimeout
func TestTriesThatTimeOutAreMadeAgain(t *testing.T) {
	mesh := trafficMesh(t)
	client := &http.Client{Transport: mesh.As("client").Client().
		Transport, Timeout: 10 * time.Second} // less than the timeout
	for path, tries := range map[string]int{"/thrice?delay=30s": 3, "/exactly/x?delay=30s": 3, "/once/x?delay=30s": 1} {
		a := send(t, client, http.MethodPost, "http://slow:8080"+path)
		if n := len(seen(mesh.Backend("slow", "a"), path)); a.status != http.StatusGatewayTimeout || n != tries {
			t.Errorf("%s: %d after %d tries, want 504 after %d", path, a.status, n, tries)
		}
	}
}
