package local

import (
	"net/http"
	"testing"
	"time"
)

func TestShop(t *testing.T) {
	mesh := start(t, compileShop(t))
	r, _ := http.NewRequest("GET", "http://cart:7070/x?delay=500ms", nil)
	r.Header.Set("x-envoy-upstream-rq-timeout-ms", "20")
	b := time.Now()
	a, err := mesh.As("frontend").Client().Do(r)
	t.Log(a, err, time.Since(b))
	r, _ = http.NewRequest("GET", "http://cart:7070/x?fail=5&key=1", nil)
	r.Header.Set("x-envoy-max-retries", "3")
	r.Header.Set("x-envoy-retry-on", "5xx")
	a, err = mesh.As("frontend").Client().Do(r)
	t.Log(a, err, len(mesh.Backend("cart", "a").Requests()))
	for _, r := range mesh.Backend("cart", "a").Requests() {
		t.Log(r)
	}
}
