package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tapProcess is a meshc tap that shows requests.
type tapProcess struct {
	*exec.Cmd
	said <-chan string // its news, at its end
}

// tapsEnd kills a meshc tap, after which serve knows of none, and lets one try that is not an operator.
func (m *hostMesh) tapsEnd(t *testing.T) {
	t.Helper()
	tapped := m.tap(t)
	m.soon(t, "a tap at serve", func() bool { return m.metric("meshc_taps 1") })
	if err := tapped.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	m.soon(t, "the end of a tap that was killed", func() bool { return m.metric("meshc_taps 0") })
	out, err := m.tapCommand("--to", "store", "--certificates", filepath.Join(m.dir, "certificates/store")).CombinedOutput()
	if err == nil || !strings.Contains(string(out),
		"spiffe://shop.example/ns/default/sa/store is not an operator of the mesh shop (mesh.operators)") {
		t.Errorf("who is no operator is told: %v %s", err, out)
	}
}

func (m *hostMesh) tapCommand(args ...string) *exec.Cmd {
	return exec.Command("meshc", append([]string{"tap", "--server", m.server}, args...)...)
}

// tap runs meshc tap as an operator, until it shows a request.
func (m *hostMesh) tap(t *testing.T) *tapProcess {
	t.Helper()
	cmd := m.tapCommand("--from", "web", "--to", "store", "--certificates", filepath.Join(m.dir, "certificates/web"))
	var news bytes.Buffer
	cmd.Stderr = &news
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	background(t, cmd)
	first, rest := make(chan string, 1), make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		lines.Scan()
		first <- lines.Text()
		drain(lines)
		_ = cmd.Wait() // it is killed, or says why it ends
		rest <- news.String()
	}()
	for {
		if _, err := m.ask(); err != nil {
			t.Fatal(err)
		}
		select {
		case line := <-first:
			if !strings.Contains(line, "default/web → store.default:") || !strings.Contains(line, " GET / 200 ") {
				t.Fatalf("meshc tap shows %q", line)
			}
			return &tapProcess{cmd, rest}
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// ended wants a tap to end, as its server is gone.
func (p *tapProcess) ended(t *testing.T) {
	t.Helper()
	select {
	case said := <-p.said:
		if !strings.Contains(said, " went away") {
			t.Errorf("meshc tap says at its end: %s", said)
		}
	case <-time.After(30 * time.Second):
		t.Error("meshc tap goes on without a server")
	}
}

// tapIsOver wants web's proxy to have ended a tap by itself, which it does 30 seconds after every server is gone.
func (m *hostMesh) tapIsOver(t *testing.T) {
	t.Helper()
	if text, _ := read(adminOf(t, m.dir, "web") + "/runtime"); m.outage > 40*time.Second &&
		strings.Contains(text, "meshc.tap.http.client") {
		t.Error("the proxy is tapped, though every server is gone")
	}
}

// metric reports whether serve has that line in its metrics.
func (m *hostMesh) metric(line string) bool {
	text, err := read(m.admin + "/metrics")
	return err == nil && strings.Contains(text, "\n"+line+"\n")
}

// read is the body of an answer to GET.
func read(at string) (string, error) {
	answer, err := http.Get("http://" + at)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return string(body), err
}
