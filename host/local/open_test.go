package local

import (
	"net/http"
	"testing"
)

const opened = `package opened

mesh: {name: "opened", trustDomain: "opened.example"}

services: web: {
	workload: deployment: "web"
	ports: {
		http: {port: 8081, protocol: "http"}
		open: {port: 8082, protocol: "http", mtls: "off"}
	}
	allow: [{from: services: ["client"]}]
	silence: MC1730: "for everybody"
}
services: client: {workload: deployment: "client", uses: web: {}}
`

// Whoever has no identity speaks to the application on a port that is open, and to none of the
// others; members call the others alone.
//
// Field: ports.mtls
func TestOpenPort(t *testing.T) {
	mesh := start(t, inline(t, map[string]string{"mesh.cue": opened}))
	plain := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if a := send(t, plain, http.MethodDelete, "http://"+inbound(mesh, "web", "open")+"/x"); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	wantRefused(t, "plaintext", "http://"+inbound(mesh, "web", "http"), nil)
	if use := mesh.Placed().Service("client").Uses[0]; len(use.Ports) != 1 || use.Ports[0] != "http" {
		t.Errorf("the client calls %v", use.Ports)
	}
}
