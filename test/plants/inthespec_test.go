//go:build e2e

package plants

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// inTheSpec are changes of the spec, and loads that it refuses.
func inTheSpec() []plant {
	return []plant{
		{
			"rule-removed", func(t *testing.T, f *field) string {
				f.change(t, "stock.cue", `		{name: "orders", from: services: ["batch"], paths: ["/orders/*"]},
`, "")
				return ""
			},
			denied("service batch", "service stock"),
		},
		{
			"route-hidden", func(t *testing.T, f *field) string {
				f.change(t, "catalog.cue", "routes: [\n", `routes: [
		{name: "moved", match: path: regex: "/(pages|books)/.*", directResponse: status: 410},
`)
				return ""
			},
			failing("service web", "", 410, ""), // which the proxy of the caller answers itself
		},
		{"version-empty", emptiesVersion, failing("service web", "service search", 503, "NoHealthyUpstream")},
		{
			"timeout-too-short", func(t *testing.T, f *field) string {
				if f.rand.IntN(2) == 0 {
					f.change(t, "web.cue", "catalog: {}", `catalog: timeout: "5ms"`)
					return "web"
				}
				f.change(t, "catalog.cue", `timeout: "2s"`, `timeout: "5ms"`)
				return "catalog"
			},
			failing("service web", "service catalog", 504, "UpstreamRequestTimeout"),
		},
		{
			"rate-limited", func(_ *testing.T, f *field) string {
				f.load.add(flow{perSecond: 100, url: "http://quota:7078/use", by: "web"})
				return ""
			},
			failing("service web", "service quota", 429, "RateLimited"),
		},
		{
			"burst-above-limits", func(_ *testing.T, f *field) string {
				f.load.add(flow{perSecond: 120, url: "http://vault:7076/secrets/1", by: "web"})
				return ""
			},
			failing("service web", "service vault", 503, "UpstreamOverflow"),
		},
		{"plaintext-client", sendsPlaintext, func(*numbers, *numbers, string) string { return "" }},
		{"protocol-mismatch", mixesProtocols, failing("service web", "service search", 0, "Upstream")},
	}
}

// emptiesVersion has all instances of one version go.
func emptiesVersion(t *testing.T, f *field) string {
	t.Helper()
	gone := []string{"v1", "v2"}[f.rand.IntN(2)]
	var left []*instance
	for _, i := range f.instances.all["search"] {
		if i.version != gone {
			left = append(left, i)
		}
	}
	f.instances.write(t, "search", left)
	return gone
}

// mixesProtocols has the spec say that an application speaks HTTP/2 which knows HTTP/1 alone.
func mixesProtocols(t *testing.T, f *field) string {
	t.Helper()
	for _, instance := range []string{"v1", "v2"} {
		f.actors["search/"+instance].stop() // in whose place the update starts one of its own
	}
	f.change(t, "search.cue", `protocol: "http"`, `protocol: "http2"`)
	for _, instance := range []string{"v1", "v2"} {
		f.Backend("search", instance).Close()
		f.actors["search/"+instance].start(t, false)
	}
	return ""
}

// sendsPlaintext has somebody without a certificate speak to a strict port, until its proxy has counted that. What
// proxies report has no number for it (docs/metrics.md); their statistics have.
func sendsPlaintext(t *testing.T, f *field) string {
	t.Helper()
	port := endpoint(f.Placed().Service("account"), "a")
	f.load.running.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-f.load.ctx.Done():
				return
			case <-tick.C:
			}
			if conn, err := net.Dial("tcp", port); err == nil {
				_, _ = io.WriteString(conn, "GET /me HTTP/1.1\r\nHost: account\r\n\r\n")
				_, _ = io.Copy(io.Discard, conn) // until the proxy closes it
				conn.Close()
			}
		}
	})
	eventually(t, "failed handshakes", func() string {
		stats, err := f.Stats(t.Context(), "service/account/a", `^listener\..*ssl\.connection_error$`)
		if err != nil {
			t.Fatal(err)
		}
		sum := uint64(0)
		for _, n := range stats {
			sum += n
		}
		if sum < shown {
			return fmt.Sprintf("%d of %d", sum, shown)
		}
		return ""
	})
	return ""
}
