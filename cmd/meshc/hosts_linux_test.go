package main

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestHosts runs a mesh as it runs on hosts: meshc compile, meshc serve with an
// authority, a join token and "meshc certs request --keep" for each member, and an
// Envoy from the compiled bootstrap. Under a steady load, and with certificates that
// live for seconds, serve is killed twice; no request fails. An Envoy that is started
// meanwhile takes no connection until serve is back. MESHC_OUTAGE says how long serve
// is away ("3s").
func TestHosts(t *testing.T) {
	outage := 3 * time.Second
	if d, err := time.ParseDuration(os.Getenv("MESHC_OUTAGE")); err == nil {
		outage = d
	}
	m := newHostMesh(t, outage)
	running := m.serve(t)
	for _, member := range []string{"web", "store"} {
		m.enrol(t, member)
	}
	m.application(t)
	m.proxy(t, "store")
	caller := m.proxy(t, "web")
	m.soon(t, "a request from web to store", func() bool {
		body, err := m.ask()
		return err == nil && strings.Contains(body, "URI=spiffe://shop.example/ns/default/sa/web")
	})
	m.tapsEnd(t)
	running = m.outlastsServe(t, running)
	m.startsWithoutServe(t, running, caller)
}

// outlastsServe kills serve twice, and wants all requests answered meanwhile. It returns the serve that runs then.
func (m *hostMesh) outlastsServe(t *testing.T, running *exec.Cmd) *exec.Cmd {
	t.Helper()
	end := m.load()
	var until time.Time
	for round := range 2 {
		tapped := m.tap(t)
		if round == 0 {
			until = m.pullsLever(t)
		}
		kill(t, running)
		gone := time.Now()
		tapped.ended(t)
		m.soon(t, "the end of the outage", func() bool { return time.Since(gone) > m.outage })
		m.tapIsOver(t)
		if round == 0 {
			m.leverEnds(t, until)
		}
		running = m.serve(t)
		m.soon(t, "both proxies at serve", func() bool { return m.connected() == 2 })
	}
	if said := end(); strings.Contains(said, "failed") {
		t.Error(said)
	} else {
		t.Log(said)
	}
	return running
}

// startsWithoutServe kills serve and starts web's Envoy again, which takes nothing until serve is back.
func (m *hostMesh) startsWithoutServe(t *testing.T, running, caller *exec.Cmd) {
	t.Helper()
	kill(t, running)
	_ = caller.Process.Signal(syscall.SIGTERM)
	_ = caller.Wait() // it was told to
	m.proxy(t, "web")
	m.soon(t, "an Envoy that is up", func() bool {
		answer, err := http.Get("http://" + adminOf(t, m.dir, "web") + "/ready")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusServiceUnavailable
	})
	if _, err := m.ask(); err == nil {
		t.Error("a proxy without its configuration lets a request through")
	}
	m.serve(t)
	m.soon(t, "a request again", func() bool { _, err := m.ask(); return err == nil })
}

// kill ends a program at once.
func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
}
