package local

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// near is a service with an instance in the caller's zone, one in its region, one
// where its region fails over to, and one elsewhere.
const near = `package near

mesh: {name: "near", trustDomain: "near.example"}

services: client: {
	workload: endpoints: [{address: "10.0.0.1", zone: "eu-west-1a"}]
	ports: http: {port: 8080, protocol: "http"}
	uses: near: {}
	silence: MC1203: "nobody calls it"
}
services: near: {
	workload: endpoints: [
		{address: "10.0.1.1", zone: "eu-west-1a", labels: at: "zone"},
		{address: "10.0.1.2", zone: "eu-west-1b", labels: at: "region"},
		{address: "10.0.1.3", zone: "eu-central-1a", labels: at: "failover"},
		{address: "10.0.1.4", zone: "us-east-1a", labels: at: "elsewhere"},
	]
	ports: http: {port: 8081, protocol: "http"}
	versions: {zone: labels: at: "zone", region: labels: at: "region", failover: labels: at: "failover", elsewhere: labels: at: "elsewhere"}
	allow: [{from: services: ["client"]}]
	locality: {prefer: "zone", failover: [{from: "eu-west", to: "eu-central"}]}
	%s
}
`

// Traffic stays near while it can, and then goes on in the order written.
//
// Field: locality
func TestLocality(t *testing.T) {
	mesh := start(t, inline(t,
		map[string]string{"mesh.cue": fmt.Sprintf(near,
			`outliers: {consecutive5xx: 1, interval: "100ms", ejectFor: "10m", maxEjected: 100}`)}))
	c := mesh.As("client").Client()
	for _, at := range []string{"zone", "region", "failover", "elsewhere"} {
		eventually(t, "an answer from "+at, func() bool {
			a, err := trySend(t.Context(), c, http.MethodGet, "http://near:8081/")
			return err == nil && a.report != nil && a.report.Version == at
		})
		if by := versions(t, c, 50, always("http://near:8081/")); len(by) != 1 {
			t.Errorf("from %s on: %v", at, by)
		}
		mesh.Backend("near", at).Close()
	}
}

const probed = `package probed

mesh: {name: "probed", trustDomain: "probed.example"}

services: client: {
	workload: deployment: "client"
	uses: {http: {}, grpc: {}, tcp: {}}
}
services: [=~"http|grpc|tcp"]: {
	versions: {a: labels: version: "a", b: labels: version: "b"}
	allow: [{from: services: ["client"], methods: ["PUT"]}]
	health: {interval: "100ms", timeout: "1s", unhealthyAfter: 2, healthyAfter: 1}
	outliers: consecutive5xx: 1000000
}
services: {
	http: {workload: deployment: "http", ports: main: {port: 8081, protocol: "http"}, health: http: path: "/healthz", loadBalancer: panicThreshold: 0}
	grpc: {workload: deployment: "grpc", ports: main: {port: 8082, protocol: "grpc"}, health: grpc: {}}
	tcp: {workload: deployment: "tcp", ports: main: {port: 8083, protocol: "http2"}, health: tcp: {}}
}
`

// Instances whose probes fail get no requests before one has failed. What is
// probed is open to callers whatever the rules say of requests, and nothing else.
//
// Field: health
// Field: loadBalancer.panicThreshold
func TestHealth(t *testing.T) {
	mesh := start(t, inline(t, map[string]string{"mesh.cue": probed}))
	c := mesh.As("client").Client()
	healthy := func(service string) uint64 {
		return counted(t, mesh, "service/client/a", `^cluster\.`+service+`_default\|main\.membership_healthy$`)
	}
	eventually(t, "two healthy instances of http", func() bool { return healthy("http") == 2 })
	for path, want := range map[string]int{
		"/healthz": http.StatusOK, "/healthz/x": http.StatusForbidden,
		"/": http.StatusForbidden,
	} {
		if a := send(t, c, http.MethodGet, "http://http:8081"+path); a.status != want {
			t.Errorf("GET %s: %d, want %d", path, a.status, want)
		}
	}
	for service, port := range map[string]int{"http": 8081, "grpc": 8082, "tcp": 8083} {
		url := fmt.Sprintf("http://%s:%d/", service, port)
		put := func() answer { return send(t, c, http.MethodPut, url) }
		eventually(t, "two healthy instances of "+service, func() bool { return healthy(service) == 2 })
		both := map[string]bool{}
		eventually(t, "answers of both instances of "+service, func() bool {
			both[put().report.Version] = true
			return len(both) == 2
		})
		if service == "tcp" {
			mesh.stopProxies(func(id string) bool { return id == "service/tcp/a" })
		} else {
			mesh.Backend(service, "a").Close()
		}
		eventually(t, "one healthy instance of "+service, func() bool { return healthy(service) == 1 })
		for range 30 {
			if a := put(); a.report == nil || a.report.Version != "b" {
				t.Fatalf("%s: %d %s", service, a.status, a.body)
			}
		}
	}
	// With no instance left, all are tried: unless the spec says never.
	for service, body := range map[string]string{"http": "no healthy upstream", "grpc": "remote connection failure"} {
		mesh.Backend(service, "b").Close()
		eventually(t, "no healthy instance of "+service, func() bool { return healthy(service) == 0 })
		if a := send(t, c, http.MethodPut, map[string]string{
			"http": "http://http:8081/",
			"grpc": "http://grpc:8082/",
		}[service]); !strings.Contains(a.body, body) {
			t.Errorf("%s: %d %q, want %q", service, a.status, a.body, body)
		}
	}
}
