package diff

import (
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
)

// TestProxiesAreThoseThatReadIt changes a part of a mesh that only some members read, and wants their proxies to be
// told to change and no others.
func TestProxiesAreThoseThatReadIt(t *testing.T) {
	const spec = `package shop

mesh: {
	name: "shop", trustDomain: "shop.example"
	limits: attempts: 30
	images: envoy: "envoy:1"
	jwt: issuers: {one: {issuer: "https://one.example", jwks: inline: "{\"keys\":[]}"}, two: {issuer: "https://two.example", jwks: inline: "{\"keys\":[]}"}}
	externalAuthorization: {asks: {service: "asks", port: "http", timeout: "1s"}, other: {service: "asks", port: "http"}}
	rateLimit: {service: "limiter", port: "grpc", timeout: "20ms"}
	silence: {MC1203: "of a test", MC1402: "of a test"}
}
services: {
	asks: {workload: deployment: "asks", ports: http: {port: 80, protocol: "http"}, allow: [{from: {services: ["guarded", "other"], gateways: ["public"]}}]}
	limiter: {workload: deployment: "limiter", ports: grpc: {port: 81, protocol: "grpc"}, allow: [{from: services: ["limited"]}]}
	guarded: {workload: deployment: "guarded", ports: http: {port: 82, protocol: "http"}, allow: [{from: services: ["caller"], jwt: issuer: "one"}], externalAuthorization: "asks"}
	other: {workload: deployment: "other", ports: http: {port: 83, protocol: "http"}, allow: [{from: services: ["caller"], jwt: issuer: "two"}], externalAuthorization: "other"}
	limited: {workload: deployment: "limited", ports: http: {port: 84, protocol: "http"}, allow: [{from: {services: ["caller"], gateways: ["public"]}}], rateLimit: {requests: 5, global: true}}
	caller: {workload: deployment: "caller", uses: {guarded: {}, other: {}, limited: {}}}
}
gateways: public: {listeners: http: port: 8080, routes: [{to: [{service: "limited", port: "http"}]}], uses: limited: {}, externalAuthorization: "asks", replicas: min: 2}
`
	dir := t.TempDir()
	before := compiled(t, dir, spec)
	if before == nil {
		t.Fatal("the mesh does not compile")
	}
	for _, c := range []struct {
		name, from, to string
		want           []ir.Ref
	}{
		{
			"an authorization service is asked otherwise", `timeout: "1s"`, `timeout: "2s"`,
			[]ir.Ref{ir.GatewayRef("public"), ir.ServiceRef("guarded")},
		},
		{
			"a member asks another authorization service", `externalAuthorization: "other"}`,
			`externalAuthorization: "asks"}`,
			[]ir.Ref{ir.ServiceRef("other")},
		},
		{"an issuer of tokens changes", "https://two.example", "https://three.example", []ir.Ref{ir.ServiceRef("other")}},
		{
			"the rate limit service is asked otherwise", `timeout: "20ms"`, `timeout: "30ms"`,
			[]ir.Ref{ir.ServiceRef("limited")},
		},
		{"an image changes", "envoy:1", "envoy:2", nil},
		{"a gateway gets more pods", "replicas: min: 2", "replicas: min: 3", nil},
		{"more attempts are accepted", "attempts: 30", "attempts: 40", nil},
	} {
		if !strings.Contains(spec, c.from) {
			t.Fatalf("%s: %q is not there", c.name, c.from)
		}
		after := compiled(t, dir, strings.Replace(spec, c.from, c.to, 1))
		if after == nil {
			t.Fatalf("%s: the mesh does not compile", c.name)
		}
		if got := Of(before, after).Proxies; !slices.Equal(got.Changed, append([]ir.Ref{}, c.want...)) ||
			got.Untouched != 7-len(c.want) {
			t.Errorf("%s: the proxies of %v change, and %d do not; want those of %v", c.name, got.Changed,
				got.Untouched, c.want)
		}
	}
}
