package local

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

// A request on which nothing moves is ended.
//
// Field: routes.idleTimeout
func TestIdleTimeout(t *testing.T) {
	if a := send(t, client(t), http.MethodGet, "http://idle:8080/idle/?delay=5s"); a.report != nil {
		t.Errorf("the answer came: %d", a.status)
	}
	if a := send(t, client(t), http.MethodGet, "http://idle:8080/other/?delay=600ms"); a.report == nil {
		t.Errorf("another route: %d %s", a.status, a.body)
	}
}

// The wait before a retry is a random time up to the base: of eight requests one
// waits for long, but for once in 250,000 times. A machine that is busy makes it longer, and fails nothing.
//
// Field: retries.backoff
func TestRetryBackoff(t *testing.T) {
	longest := func(path string) time.Duration {
		var all sync.WaitGroup
		took := make([]time.Duration, 8)
		for i := range took {
			all.Go(func() {
				begun := time.Now()
				a, err := trySend(t.Context(), client(t), http.MethodGet,
					fmt.Sprintf("http://backoff:8080%s?fail=1&key=%s%d", path, path, i))
				if took[i] = time.Since(begun); err != nil || a.report == nil {
					t.Errorf("%s: %d %s %v", path, a.status, a.body, err)
				}
			})
		}
		all.Wait()
		var most time.Duration
		for _, d := range took {
			most = max(most, d)
		}
		return most
	}
	if d := longest("/long/"); d < 85*time.Millisecond {
		t.Errorf("the longest of 8 waits of up to 400ms was %s", d)
	}
}

// A hedged try goes on beside the next one and may still answer.
//
// Field: retries.hedge
func TestHedge(t *testing.T) {
	for path, want := range map[string]int{"/hedged/": http.StatusOK, "/plain/": http.StatusGatewayTimeout} {
		if a := send(t, client(t), http.MethodGet, "http://hedge:8080"+path+"?delay=700ms"); a.status != want {
			t.Errorf("%s: %d %s, want %d", path, a.status, a.body, want)
		}
		if n := len(seen(trafficMesh(t).Backend("hedge", "a"), path+"?delay=700ms")); n != 2 {
			t.Errorf("%s: %d tries", path, n)
		}
	}
}
