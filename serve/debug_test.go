package serve_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/meshc/meshc/serve"
)

// TestDebug wants profiles to be there when they are asked for, and for nobody on another host.
func TestDebug(t *testing.T) {
	paths := []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile?seconds=1", "/debug/metrics"}
	off := start(t)
	on := start(t, func(c *serve.Config) { c.Debug = true })
	for _, path := range paths {
		if code, _ := fetch(t, off, path); code != http.StatusNotFound {
			t.Errorf("without being asked for, %s is answered with %d", path, code)
		}
		if code, body := fetch(t, on, path); code != http.StatusOK {
			t.Errorf("%s: %d %s", path, code, body)
		}
		asked := func(from, at, host string) int {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey,
				net.TCPAddrFromAddrPort(netip.MustParseAddrPort(at))))
			r.Host, r.RemoteAddr = host, from
			w := httptest.NewRecorder()
			on.AdminHandler().ServeHTTP(w, r)
			return w.Code
		}
		for _, c := range [][3]string{
			{"192.0.2.7:4711", "192.0.2.1:15011", "192.0.2.1:15011"},
			{"[2001:db8::7]:4711", "[2001:db8::1]:15011", "[2001:db8::1]:15011"},
			{"192.0.2.7:4711", "127.0.0.1:15011", "127.0.0.1:15011"},
			{"127.0.0.1:4711", "127.0.0.1:15011", "evil.example:15011"}, // through a browser on this host
		} {
			if code := asked(c[0], c[1], c[2]); code != http.StatusForbidden {
				t.Errorf("%s for %q: %d", path, c, code)
			}
		}
	}
	if _, body := fetch(t, on, "/debug/metrics"); !strings.Contains(body, "\ngo_sched_latencies_seconds") {
		t.Error("the metrics of the runtime are not all there")
	}
}
