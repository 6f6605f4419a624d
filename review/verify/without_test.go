package verify

import (
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

// Who calls what is gone gets what real Envoys answer, and objectives break: those of what is gone, and where its
// callers fail with it those of who calls them.
func TestWithout(t *testing.T) {
	const spec = `package shop

mesh: {
	name: "shop", trustDomain: "shop.example", silence: MC1402: "-"
	telemetry: metrics: scraper: {namespace: "monitoring", ipRanges: ["10.0.0.0/8"]}
}
gateways: public: {
	listeners: http: port: 80
	routes: [{match: path: prefix: "/", to: [{service: "web"}]}]
	uses: web: {}
}
services: web: {
	workload: deployment: "web"
	ports: http: {port: 8080, protocol: "http"}
	allow: [{from: gateways: ["public"]}]
	uses: {store: timeout: "4s", pay: {}}
	objectives: {availability: 99, latency: {"3s": 95, "1m": 99}}
}
services: store: {
	workload: deployment: "store"
	ports: http: {port: 8081, protocol: "http"}
	allow: [{from: services: ["web"]}]
	retries: {attempts: 2, on: ["connect-failure"]}
	objectives: availability: 99.9
}
external: pay: {hosts: ["pay.example"], ports: https: {port: 443, protocol: "https"}, timeout: "400ms"}
`
	m, _ := compiled(t, spec)
	for _, want := range []struct {
		of          ir.Ref
		gone, hangs string
		through     int
		objectives  []string
	}{
		{ir.ServiceRef("store"), "is answered 503 after ", "is answered 504 after ", 1, []string{
			"service store: availability 99.9% ",
			"service web: availability 99% if service web fails with it",
			"service web: latency: 95% within 3s, when it hangs if service web fails with it",
		}},
		{ir.ExternalRef("pay"), "is answered 503 after ", "is answered 504 after ", 1, []string{
			"service web: availability 99% if service web fails with it",
		}},
	} {
		a, err := Without(t.Context(), m, want.of, FailureOptions{Longest: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if len(a.Calls) != 1 || !strings.HasPrefix(a.Calls[0].Gone, want.gone) ||
			!strings.HasPrefix(a.Calls[0].Hangs, want.hangs) || len(a.Through) != want.through {
			t.Errorf("%s: %+v", want.of, a)
		}
		var got []string
		for _, o := range a.Objectives {
			text := o.Of + ": " + o.Is + " "
			if o.If != "" {
				text += "if " + o.If
			}
			got = append(got, text)
		}
		if strings.Join(got, "\n") != strings.Join(want.objectives, "\n") {
			t.Errorf("%s: objectives %q", want.of, got)
		}
	}
}
