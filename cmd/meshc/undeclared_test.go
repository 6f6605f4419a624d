package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/serve"
)

// Calls that passed undeclared are proposed as CUE, by the file to put them in, each line once; a name that is none of
// a host is not written, and the address stands for it.
func TestUndeclaredAsCUE(t *testing.T) {
	call := func(callee, name, address string, port uint16) serve.UndeclaredCall {
		c := serve.UndeclaredCall{
			Caller: "service web", CallerSource: position("web.cue", 3), Callee: callee, Name: name,
			Address: netip.MustParseAddr(address), Port: port, Connections: 1,
		}
		if callee != "" {
			c.CalleeSource, c.PortName = position("cart.cue", 3), "http"
		}
		return c
	}
	cart, again, listed, allowed, used := call("service cart", "", "10.0.0.1", 80),
		call("service cart", "cart", "10.0.0.1", 80), call("service stock", "", "10.0.0.2", 80),
		call("service open", "", "10.0.0.3", 80), call("service part", "", "10.0.0.4", 80)
	again.HTTP, listed.Listed, allowed.Allowed, used.Allowed, used.Uses = true, true, true, true, position("web.cue", 9)
	page := call("", "pages.example:80", "192.0.2.3", 80)
	page.HTTP = true
	report := serve.EdgeReport{
		Mesh: "shop", Now: time.Now(), Window: 900,
		Undeclared: []serve.UndeclaredCall{
			cart, again, listed, allowed, used, call("external paid", "pay.example", "192.0.2.1", 443),
			call("", "api.example", "192.0.2.2", 443), page, call("", "", "2001:db8::1", 25),
			call("", "x\"}]: evil.example", "192.0.2.4", 443),
		},
	}
	server := toldBy(t, report)
	same(t, said(t, exitGood, "edges", "--server", server, "--undeclared", "-o", "cue"), `
// cart.cue
services: "cart": allow: [{from: services: ["web"], ports: ["http"]}]
// add to the list allow of stock (cart.cue:3:3)
// {from: services: ["web"], ports: ["http"]},

// web.cue
services: "web": uses: "cart": {}
services: "web": uses: "stock": {}
services: "web": uses: "open": {}
// add "http" to the ports of this use (web.cue:9:3)
// services: "web": uses: "part": {}
services: "web": uses: "paid": {}
services: "web": uses: "api-example": {}
external: "api-example": {hosts: ["api.example"], ports: "port-443": {port: 443, protocol: "tls"}}
services: "web": uses: "pages-example": {}
external: "pages-example": {hosts: ["pages.example"], ports: "port-80": {port: 80, protocol: "http"}}
services: "web": uses: "ip-2001-db8-1": {}
external: "ip-2001-db8-1": {hosts: ["2001:db8::1"], ports: "port-25": {port: 25, protocol: "tcp"}}
services: "web": uses: "ip-192-0-2-4": {}
external: "ip-192-0-2-4": {hosts: ["192.0.2.4"], ports: "port-443": {port: 443, protocol: "tcp"}}
`)
	table := said(t, exitGood, "edges", "--server", server, "--undeclared")
	for _, part := range []string{"192.0.2.2:443", "(outside the mesh)", "[2001:db8::1]:25"} {
		if !strings.Contains(table, part) {
			t.Errorf("%s is not in\n%s", part, table)
		}
	}
}
