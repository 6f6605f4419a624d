package render_test

import "regexp"

// marks are where everything has room for a field.
var marks = regexp.MustCompile(`/\*[a-z ]*\*/`)

// everything is a mesh in which each field of the language can be changed. Marks
// are where a field is added; CUE does not see them.
const everything = `package shop

mesh: {
	name: "shop"
	trustDomain: "shop.example"
	defaults: {retries: {attempts: 1}/*defaults*/}
	certificates: {issuer: {kind: "ClusterIssuer", name: "ca"}/*certificates*/}
	proxy: {adminPort: 15000/*mesh proxy*/}
	images: {envoy: "envoy:1"/*images*/}
	flux: {url: "https://git.example/mesh"/*flux*/}
	silence: {MC1203: "the first of two meshes", MC1402: "tried", MC1774: "tried"}
	rateLimit: {service: "limiter", port: *"grpc" | string/*limiter*/}
	trustDomains: "partner.example": bundle: "` + partner + `"
	jwt: issuers: {
		one: {issuer: "https://one.example", jwks: {inline: "{\"keys\":[]}"/*keys*/}/*issuer*/}
		two: {issuer: "https://two.example", jwks: {service: "keys", port: *"http" | string/*fetched*/}}
	}
	externalAuthorization: {
		asks: {service: "asks", port: *"http" | string/*asks*/}
		other: {service: "asks", port: "more", failOpen: true}
	}
}
services: {
	tokens: {
		workload: deployment: "tokens"
		ports: http: {port: 92, protocol: "http"}
		allow: [{from: {services: ["d"], identities: ["spiffe://partner.example/a"]}, jwt: {issuer: "one"/*token*/}}, {from: services: ["d"], jwt: issuer: "two"}]
		mtls: "strict"
		externalAuthorization: "asks"
	}
	keys: {workload: deployment: "keys", ports: {http: {port: 93, protocol: "http"}, more: {port: 94, protocol: "http"}}, allow: [{from: services: ["tokens"]}]}
	keys2: {workload: deployment: "keys2", ports: {http: {port: 93, protocol: "http"}}, allow: [{from: services: ["tokens"]}]}
	asks: {workload: deployment: "asks", ports: {http: {port: 95, protocol: "http"}, more: {port: 96, protocol: "http"}}, allow: [{from: {services: ["tokens", "a"], gateways: ["g"]}}]}
	asks2: {workload: deployment: "asks2", ports: {http: {port: 95, protocol: "http"}}, allow: [{from: {services: ["tokens", "a"], gateways: ["g"]}}]}
}
mesh: silence: {MC1701: "tried", MC1702: "tried", MC1703: "tried", MC1736: "tried", MC1741: "tried", MC1792: "tried", MC1704: "tried", MC1705: "tried", MC1730: "tried"}
services: a: {
	workload: deployment: "a"
	ports: {http: {port: 80, protocol: "http"/*port*/}, admin: {port: 90, protocol: "http"}}
	versions: v1: labels: version: "v1"
	uses: {b: {/*use b*/}, e: {/*use e*/}}
	allow: [{from: {gateways: ["g"]/*from*/}/*rule*/}]
	routes: [{match: {path: exact: "/one"/*match*/}, to: [{version: "v1"/*destination*/}, {weight: 2}]/*route*/}]
	retries: {attempts: 1/*retries*/}
	proxy: {adminPort: 15001+10/*service proxy*/}
	/*service*/
}
services: b: {
	workload: endpoints: [{address: "10.0.0.1"/*endpoint*/}, {address: "10.0.0.9", labels: version: "1"}]
	ports: http: {port: 81, protocol: "http"}
	versions: {v1: labels: version: "1", v2: labels: version: "2"}
	routes: [{to: [{version: "v2"}]}]
	silence: MC1307: "it has none yet"
	allow: [{from: services: ["a"]}]
}
services: {
	limiter: {workload: deployment: "limiter", ports: {grpc: {port: 87, protocol: "grpc"}, more: {port: 89, protocol: "grpc"}}, allow: [{from: {services: ["y", "x", "limiter2"], gateways: ["g"]}}]}
	limiter2: {workload: deployment: "limiter2", ports: {grpc: {port: 87, protocol: "grpc"}}, allow: [{from: services: ["y", "x"]}]}
}
services: [=~"y[23]"]: {
	ports: {p: {port: 5432, protocol: "tcp"}, q: {port: 5433, protocol: "tcp"}}
	versions: v1: labels: version: "v1"
	allow: [{from: gateways: ["g"]}]
}
services: {y2: workload: deployment: "y2", y3: workload: deployment: "y3"}
services: x: {
	workload: endpoints: [{address: "10.0.2.1", zone: "eu-west-1a"}]
	uses: y: {}
}
services: y: {
	workload: endpoints: [
		{address: "10.0.3.1", zone: "eu-west-1a"/*zoned*/}, {address: "10.0.3.2", zone: "eu-west-1b"},
		{address: "10.0.3.3", zone: "us-east-1b"}, {address: "10.0.3.4", zone: "eu-central-1b"},
	]
	ports: {http: {port: 86, protocol: "http2"}, plain: {port: 88, protocol: "http"/*plain port*/}}
	allow: [{from: services: ["x"]}]
	locality: {failover: [{from: "eu-west", to: "eu-central"}]/*locality*/}
	loadBalancer: {/*balancer*/}
	outliers: {interval: "5s"/*outliers*/}
	health: {/*health*/grpc: {}}
	rateLimit: {requests: 5, global: true}
	connections: {max: 5/*connections*/}
}
services: c: {
	workload: dns: "c.internal"
	ports: {x: {port: 82, protocol: "http"}, y: {port: 83, protocol: "http"}}
	allow: [{from: services: ["d"]}]
	silence: MC1307: "none"
}
services: d: {
	workload: deployment: "d"
	ports: http: {port: 84, protocol: "http"}
	uses: c: {/*use c*/}
}
gateways: g: {
	listeners: http: {port: 8080/*listener*/}
	listeners: https: {port: 8443, tls: {secret: "s"/*listener tls*/}/*https*/}
	listeners: tcp: {port: 8444, protocol: "tcp", to: {service: "y2", port: "p"}}
	compression: {minBytes: 100/*compression*/}
	routes: [{to: [{service: "a", port: "http"}]}]
	uses: {a: {/*gateway use*/}, y2: {}, y3: {}}
	proxy: {adminPort: 15002+10}
	/*gateway*/
}
gateways: {exit: {egress: {port: 15443/*egress*/}, uses: {e: {}, f: {}}}, exit2: {egress: {}, uses: f: {}}}
external: f: {
	hosts: ["f2.example"]
	ports: https: {port: 443, protocol: "https"}
	via: "exit"
}
services: d: uses: f: {}
external: e: {
	hosts: ["e.example"]
	ports: https: {port: 443, protocol: "https"}
	/*external*/
}
`

// partner and partner2 are roots of another mesh.
const (
	partner  = `-----BEGIN CERTIFICATE-----\nMIIBjDCCATGgAwIBAgIUeTKNmkr8/GEjsVZkbHZeZmpIJeEwCgYIKoZIzj0EAwIw\nGjEYMBYGA1UEAwwPcGFydG5lci5leGFtcGxlMCAXDTI2MTEyNDIwNTQyNVoYDzIx\nMjYxMDMxMjA1NDI1WjAaMRgwFgYDVQQDDA9wYXJ0bmVyLmV4YW1wbGUwWTATBgcq\nhkjOPQIBBggqhkjOPQMBBwNCAASE2q0a82fMdPMUV1a7QfUXSFu+cLeC8GY5T5I2\nJdVWvJuLHCSc5GopTSkqfC2c872j27S7P7+Or3d/bgVCfYP+o1MwUTAdBgNVHQ4E\nFgQUrCbs2921hawzaIv6+kDC6J0w1tswHwYDVR0jBBgwFoAUrCbs2921hawzaIv6\n+kDC6J0w1tswDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEAzwW8\nGxA8M0Le3Vt/7hACzegUiVovaL6/kLoxIqQQXB0CIQCATN6StCeC1nvTavrjLvk0\nRGAD319aeWyWJ6rVykQAYA==\n-----END CERTIFICATE-----`
	partner2 = `-----BEGIN CERTIFICATE-----\nMIIBiDCCAS2gAwIBAgIUA6XC9MaZIg/iqSrG4RJ58Vx4IRIwCgYIKoZIzj0EAwIw\nGDEWMBQGA1UEAwwNb3RoZXIuZXhhbXBsZTAgFw0yNjExMjQyMDU1NTJaGA8yMTI2\nMTAzMTIwNTU1MlowGDEWMBQGA1UEAwwNb3RoZXIuZXhhbXBsZTBZMBMGByqGSM49\nAgEGCCqGSM49AwEHA0IABPx+wMQHDq6sWfUasgdhfmq5CMLNptMTdbYpSgNuoPGW\nC2J4r38/92BrtxNPHJCkxoMLUym9TyIaUuhSvcdypLyjUzBRMB0GA1UdDgQWBBTH\n2fPqXhKj4kF7WuhCo3jf17bKPjAfBgNVHSMEGDAWgBTH2fPqXhKj4kF7WuhCo3jf\n17bKPjAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQCjGYHgN43Y\nB5/EfSRyp1qpjFL7oCH0UpDNV21sUK2hmAIhAJxX5Cu8ecdEUu/6DAzooMhOlT4n\nS1ROyDvRdj1P/RjJ\n-----END CERTIFICATE-----`
)
