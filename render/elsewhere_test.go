package render_test

// elsewhere is what a mesh has besides everything, so that each place where a field can stand is one where it matters.
const elsewhere = `
mesh: externalAuthorization: other: {}
services: {
	tokens: uses: {asks: {}, asks2: {}, keys: {}, keys2: {}}
	d: {
		uses: tokens: {}
		versions: v1: labels: version: "v1"
		deny: [{from: services: ["p"], paths: ["/x"], headers: "x-a": exact: "2"}]
	}
	x: {uses: {limiter: {}, limiter2: {}}}
	a: externalAuthorization: "other"
}
gateways: g: {
	listeners: y3: {port: 8445, protocol: "tcp", to: {service: "y3", port: "p"}}
	allow: [{from: anyone: true}, {from: ipRanges: ["10.0.0.0/8"], listeners: ["http"]}]
	deny: [{from: ipRanges: ["10.9.0.0/16"], listeners: ["http"], paths: ["/x"]}, {from: ipRanges: ["10.8.0.0/16"], listeners: ["http"]}]
}
gateways: h: {
	allow: [{from: clients: ["c"]}, {from: anyone: true}, {from: certificates: ["DNS:b.example"], listeners: ["https"]}]
	deny: [{from: certificates: ["DNS:c.example"], listeners: ["https"]}, {from: clients: ["d"], listeners: ["https"]}]
	clients: {
		c: {apiKeys: [{secret: "keys"}], passwords: [{secret: "keys"}]}
		d: {apiKeys: [{secret: "keys", key: "k"}], passwords: [{secret: "keys", key: "k"}]}
	}
}
mesh: jwt: issuers: fetched: {issuer: "https://fetched.example", jwks: {url: "https://e.example/keys", refresh: "9m"}}
services: {
	d: allow: [{from: {services: ["p"], gateways: ["g", "h"]}}]
	d: expose: [{gateway: "h", match: host: "h.example"}]
	p: {
		workload: deployment: "p"
		uses: {d: {}, q: {}, r: {}, s: {}, plain: {}, opaque: {}}
	}
	q: {
		workload: deployment: "q"
		ports: {tcp: {port: 5432, protocol: "tcp"}, tls: {port: 5433, protocol: "tls"}}
		allow: [{from: {services: ["p"], gateways: ["h"]}}]
		deny: [{from: {services: ["p"], ipRanges: ["10.9.0.0/16"]}}]
	}
	r: {
		workload: statefulSet: "r"
		ports: {grpc: {port: 9000, protocol: "grpc"}, web: {port: 9003, protocol: "http2"}}
		allow: [{from: services: ["p"], grpc: service: "a.B"}, {from: services: ["p"], headers: "x-a": exact: "2", methods: ["GET"], jwt: issuer: "fetched"}]
		deny: [{from: {services: ["p"], ipRanges: ["10.9.0.0/16"]}}]
		health: http: path: "/a"
		probes: [{port: 9000, grpc: {}}, {port: 9001, http: path: "/b"}, {port: 9002, tcp: {}}]
		routes: [{match: {grpc: service: "a.B", headers: "x-a": exact: "2", query: q: exact: "1"}, timeout: "2s", retries: attempts: 1}, {}]
	}
	s: {
		workload: daemonSet: "s"
		mtls: "permissive"
		ports: {http: {port: 9100, protocol: "http"}, raw: {port: 9101, protocol: "tcp"}}
		allow: [{from: services: ["p"]}, {from: {plaintext: true}, ports: ["http"]}]
		deny: [{from: services: ["p"], paths: ["/x"]}]
		health: tcp: {}
	}
}
external: {
	plain: {hosts: ["plain.example"], ports: {http: {port: 80, protocol: "http"}, grpc: {port: 81, protocol: "grpc"}}}
	opaque: {hosts: ["opaque.example"], ports: {tcp: {port: 6432, protocol: "tcp"}, tls: {port: 6433, protocol: "tls"}}}
}
gateways: h: {
	listeners: {
		http: {port: 8080, redirectTo: "https"}
		https: {port: 8443, hosts: ["h.example"], tls: {secret: "s", clientCertificates: secret: "c"}}
		tls: {port: 8444, protocol: "tls", hosts: ["tls.example"], to: {service: "q", port: "tls"}}
	}
	uses: {d: {}, q: {}}
	routes: [{match: path: exact: "/a", to: [{service: "d"}, {service: "d", version: "v1"}], mirror: {service: "d", percent: 50}}, {redirect: path: "/b"}]
}

`
