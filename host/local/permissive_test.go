package local

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

const permissive = `package permissive

mesh: {name: "permissive", trustDomain: "permissive.example"}

services: db: {
	workload: deployment: "db"
	ports: {
		sql: {port: 3306, protocol: "tcp"}
		near: {port: 3307, protocol: "tcp"}
		own: {port: 5432, protocol: "tcp"}
		members: {port: 3308, protocol: "tcp"}
	}
	mtls: "permissive"
	allow: [
		{from: services: ["client"]},
		{from: plaintext: true, ports: ["sql", "own"]},
		{from: {plaintext: true, ipRanges: ["127.0.0.0/8"]}, ports: ["near"]},
	]
	deny: [{from: {anyone: true, ipRanges: ["127.0.0.2"]}, ports: ["near"]}]
	silence: MC1704: "not all are members yet"
}
services: client: {workload: deployment: "client", uses: db: {}}
services: stranger: {workload: deployment: "stranger"}
`

// A permissive port below HTTP takes members with their identities and whoever comes without one, also where the
// application speaks first or has TLS of its own. Rules are asked before the application greets anybody.
//
// Others were hurt: clients of MySQL were never greeted (istio/istio#10062, #35232), clients with TLS met the chain of
// mutual TLS alone (istio/istio#14130), and the port alone decides who is let in (hashicorp/consul#17035).
//
// Field: mtls
// Field: allow.from.plaintext
// Field: allow.from.ipRanges
func TestPermissiveBelowHTTP(t *testing.T) {
	t.Parallel() // it waits more than it works
	mesh := start(t, inline(t, map[string]string{"mesh.cue": permissive}))
	db := mesh.Placed().Service("db").Workload.Endpoints[0]
	apps := map[string]*greeter{}
	mesh.Backend("db", "a").Close()
	for _, port := range []string{"sql", "near", "members"} {
		apps[port] = greet(t, join(db.Address, db.Targets[port]))
	}
	certificate := selfSigned(t, &url.URL{Scheme: "https", Host: "db.example"}, time.Hour)
	own := greet(t, join(db.Address, db.Targets["own"]), certificate)
	defer own.Close()

	// Nothing is sent before the greeting.
	if line := greetedFrom(t, "127.0.0.1", inbound(mesh, "db", "sql")); line != greeting {
		t.Errorf("a caller without an identity was greeted with %q", line)
	}
	// A proxy that is held up for a second between its connection and its first bytes is taken for a caller without an
	// identity, and fails.
	eventuallyWithin(t, time.Minute, "a member is greeted", func() bool {
		conn, err := mesh.As("client").Dial(t.Context(), "db:3306")
		if err != nil {
			return false
		}
		defer conn.Close()
		line, _ := bufio.NewReader(conn).ReadString('\n')
		return line == greeting
	})
	client, err := tls.Dial("tcp", inbound(mesh, "db", "own"), &tls.Config{
		InsecureSkipVerify: true, ServerName: "db.example",
	})
	if err != nil {
		t.Fatal("TLS of the application: ", err)
	}
	defer client.Close()
	if !bytes.Equal(client.ConnectionState().PeerCertificates[0].Raw, certificate.Certificate[0]) {
		t.Error("the proxy showed its own certificate in place of the application's")
	}
	if line, err := bufio.NewReader(client).ReadString('\n'); line != greeting {
		t.Errorf("by TLS of the application: greeted with %q, %v", line, err)
	}

	// Rules are asked before a connection is made to the application.
	if line := greetedFrom(t, "127.0.0.1", inbound(mesh, "db", "near")); line != greeting {
		t.Errorf("from 127.0.0.1: greeted with %q", line)
	}
	before := apps["near"].connections.Load()
	for from, port := range map[string]string{"127.0.0.2": "near", "127.0.0.1": "members"} {
		if line := greetedFrom(t, from, inbound(mesh, "db", port)); line != "" {
			t.Errorf("from %s, port %s: greeted with %q", from, port, line)
		}
	}
	stranger := asMember(t, mesh, "service/stranger")
	stranger.ServerName = "db.default"
	if conn, err := tls.Dial("tcp", inbound(mesh, "db", "sql"), stranger); err == nil {
		defer conn.Close()
		if line, _ := bufio.NewReader(conn).ReadString('\n'); line != "" {
			t.Errorf("a member that no rule names was greeted with %q", line)
		}
	}
	if n := apps["near"].connections.Load() - before; n != 0 {
		t.Errorf("the application accepted %d connections that rules refuse", n)
	}
	if n := apps["members"].connections.Load(); n != 0 {
		t.Errorf("the application accepted %d connections on a port for members alone", n)
	}
}

// greetedFrom is the first line that somebody without an identity reads who sends nothing; empty where the connection
// ends before.
func greetedFrom(t *testing.T, ip, address string) string {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	conn, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil && strings.Contains(err.Error(), "timeout") {
		t.Errorf("%s from %s: neither greeted nor closed", address, ip)
	}
	return line
}
