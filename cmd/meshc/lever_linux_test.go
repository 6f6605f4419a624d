package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// leverKey is what a lever on web's calls to store sets in the runtime of web's proxy.
const leverKey = "circuit_breakers.store.default|http.default.max_requests"

// pullsLever has an operator limit web's calls to store for 8 seconds, to more than there are. The command waits until
// web's proxy has it. It ends well before certificates do, which nobody renews while serve is away. It returns the
// earliest time at which the lever may end.
func (m *hostMesh) pullsLever(t *testing.T) (until time.Time) {
	t.Helper()
	until = time.Now().Add(8 * time.Second)
	out, err := exec.Command("meshc", "lever", "limit", "--server", m.server, "--from", "web", "--to", "store", "--requests",
		"1000", "--for", "8s", "--reason", "INC-7", "--certificates", filepath.Join(m.dir, "certificates/web")).CombinedOutput()
	for _, want := range []string{
		"service web: each of its proxies has at most 1000 requests in flight to service store, and answers 503 to more\n",
		"1 of 1 proxy has taken it\n", "spiffe://shop.example/ns/default/sa/web: INC-7)\n",
	} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Fatalf("meshc lever: %v %s, want %s", err, out, want)
		}
	}
	return until
}

// leverEnds wants the proxy to have a lever while every server is gone, and to drop it by itself, after that time.
func (m *hostMesh) leverEnds(t *testing.T, until time.Time) {
	t.Helper()
	has := func() bool {
		text, err := read(adminOf(t, m.dir, "web") + "/runtime")
		return err != nil || strings.Contains(text, leverKey)
	}
	if !has() && time.Now().Before(until) {
		t.Error("the lever has ended with the server")
	}
	m.soon(t, "the end of a lever without any server", func() bool { return !has() })
}
