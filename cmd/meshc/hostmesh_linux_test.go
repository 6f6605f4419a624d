package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/host/local"
)

const hostsSpec = `package shop

mesh: {
	name: "shop"
	trustDomain: "shop.example"
	proxy: {interception: "explicit", server: "SERVER", ipFamilies: ["IPv4"]}
	certificates: lifetime: "LIFE"
	operators: identities: ["spiffe://shop.example/ns/default/sa/web"]
}
services: web: {
	workload: endpoints: [{address: "WEB", local: true}]
	uses: store: bind: "127.0.0.1:BIND"
	proxy: {certificateDirectory: "DIR/web", adminPort: WEBADMIN, inboundPort: 1, outboundPort: 2}
}
services: store: {
	workload: endpoints: [{address: "STORE", local: true}]
	ports: http: {port: PORT, target: TARGET, protocol: "http"}
	allow: [{from: services: ["web"]}]
	proxy: {certificateDirectory: "DIR/store", adminPort: STOREADMIN, inboundPort: 1, outboundPort: 2}
}
`

// hostMesh is a mesh of web and store as it runs on hosts: its spec and what it compiles to are in dir.
type hostMesh struct {
	dir, envoy string
	// server, admin and enroll are where meshc serve listens.
	server, admin, enroll string
	// bind is where web's application calls store, and target where store's application listens.
	bind, target uint16
	// outage is how long serve is away.
	outage time.Duration
}

// newHostMesh writes and compiles the mesh, with addresses and ports that nobody has.
func newHostMesh(t *testing.T, outage time.Duration) *hostMesh {
	t.Helper()
	envoy, err := local.Envoy("", "")
	if err != nil {
		t.Fatal(err)
	}
	loopback, err := local.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = loopback.Close() })
	web, store, taken := loopback.Next(), loopback.Next(), map[uint16]bool{}
	port := func(address string) uint16 {
		t.Helper()
		p, err := loopback.Port(address, 0, taken)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	at := func(host string) string { return net.JoinHostPort(host, strconv.Itoa(int(port(host)))) }
	m := &hostMesh{dir: t.TempDir(), envoy: envoy, outage: outage}
	server, admin, enroll := loopback.Server(), loopback.Server(), loopback.Server()
	m.server, m.admin, m.enroll = at(server), at(admin), at(enroll)
	m.bind, m.target = port("127.0.0.1"), port("127.0.0.1")
	spec := strings.NewReplacer("LIFE", max(20*time.Second, 5*outage).String(), "SERVER", m.server, "WEBADMIN",
		fmt.Sprint(port("127.0.0.1")), "STOREADMIN", fmt.Sprint(port("127.0.0.1")), "WEB", web, "STORE", store,
		"BIND", fmt.Sprint(m.bind), "PORT", fmt.Sprint(port(store)), "TARGET", fmt.Sprint(m.target), "DIR",
		m.dir+"/certificates").Replace(hostsSpec)
	writeAll(t, m.dir, map[string]string{"cue.mod/module.cue": moduleText, "mesh.cue": spec})
	m.meshc(t, "compile", "-o", "out")
	return m
}

// meshc runs a command beside the spec, and returns what it prints.
func (m *hostMesh) meshc(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("meshc", args...)
	cmd.Dir = m.dir
	out, err := cmd.Output()
	if err != nil {
		var said []byte
		if exit, ok := err.(*exec.ExitError); ok {
			said = exit.Stderr
		}
		t.Fatalf("meshc %v: %v\n%s", args, err, said)
	}
	return string(out)
}

func (m *hostMesh) serve(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd, lines := startMeshc(t, m.dir, "serve", "out", "--ca", "ca", "--listen", m.server, "--admin-listen", m.admin,
		"--enroll-listen", m.enroll)
	if !lines.Scan() || !strings.Contains(lines.Text(), `"msg":"listening"`) {
		t.Fatalf("serve says first: %s", lines.Text())
	}
	go drain(lines)
	return cmd
}

// enrol gets a member's first certificate by a join token, and has it renewed from then on.
func (m *hostMesh) enrol(t *testing.T, member string) {
	t.Helper()
	parameters, file := "out/certificates/default/"+member+".yaml", filepath.Join(m.dir, member+".token")
	if err := os.WriteFile(file, []byte(m.meshc(t, "certs", "token", parameters, "--ca", "ca")), 0o600); err != nil {
		t.Fatal(err)
	}
	_, lines := startMeshc(t, m.dir, "certs", "request", parameters, "--server", m.enroll, "--token-file", file,
		"--keep")
	if !lines.Scan() || !strings.Contains(lines.Text(), "a certificate was issued") {
		t.Fatalf("certs request says first: %s", lines.Text())
	}
	go drain(lines)
	if out := m.meshc(t, "certs", "inspect", filepath.Join(m.dir, "certificates", member)); !strings.Contains(out,
		"it is spiffe://shop.example/ns/default/sa/"+member) || !strings.Contains(out, "it is renewed until ") {
		t.Errorf("inspect says\n%s", out)
	}
}

// proxy runs a member's Envoy from the compiled bootstrap.
func (m *hostMesh) proxy(t *testing.T, member string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(m.envoy, "-c", "out/envoy/default/"+member+".yaml", "--concurrency", "1",
		"--disable-hot-restart", "--log-level", "warning")
	cmd.Dir = m.dir
	return background(t, cmd)
}

// application is store's: it answers with the certificate of the caller.
func (m *hostMesh) application(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", fmt.Sprint(m.target)))
	if err != nil {
		t.Fatal(err)
	}
	app := &http.Server{
		ReadHeaderTimeout: time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.Header.Get("x-forwarded-client-cert")) // the caller may be gone
		}),
	}
	go func() { _ = app.Serve(listener) }()
	t.Cleanup(func() { app.Close() })
}

// ask sends a request from web to store.
func (m *hostMesh) ask() (string, error) {
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/", m.bind))
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%d %s", answer.StatusCode, body)
	}
	return string(body), err
}

// load asks again and again. What it returns ends that, and says how many requests were answered, or which failed.
func (m *hostMesh) load() (end func() string) {
	stop, ended := make(chan struct{}), make(chan string, 1)
	go func() {
		sent := 0
		for {
			select {
			case <-stop:
				ended <- fmt.Sprint(sent, " requests")
				return
			default:
			}
			if _, err := m.ask(); err != nil {
				ended <- fmt.Sprintf("request %d failed: %v", sent, err)
				return
			}
			sent++
		}
	}()
	return func() string {
		close(stop)
		return <-ended
	}
}

// connected is how many proxies are connected to serve.
func (m *hostMesh) connected() (n int) {
	var report struct{ Proxies []struct{ Connected bool } }
	cmd := exec.Command("meshc", "status", "--server", m.admin, "-o", "json")
	out, _ := cmd.Output() // it exits with 1 while a proxy is behind
	if json.Unmarshal(out, &report) != nil {
		return 0
	}
	for _, p := range report.Proxies {
		if p.Connected {
			n++
		}
	}
	return n
}

// soon waits until something holds, for as long as serve may be away and a while more.
func (m *hostMesh) soon(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30*time.Second + m.outage); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came: %s", what)
		}
	}
}

// adminOf is the administrative address in a member's bootstrap.
func adminOf(t *testing.T, dir, member string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "out/envoy/default", member+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "port_value: ")
	port, _, _ := strings.Cut(rest, "\n")
	return "127.0.0.1:" + port
}

// background runs a program until the test ends.
func background(t *testing.T, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	var said bytes.Buffer
	if cmd.Stderr == nil && cmd.Stdout == nil {
		cmd.Stdout, cmd.Stderr = &said, &said
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		if t.Failed() && said.Len() > 0 {
			t.Logf("%v said: %s", cmd.Args, said.String()[max(0, said.Len()-4000):])
		}
	})
	return cmd
}

// startMeshc runs meshc until the test ends; the lines are those of its log.
func startMeshc(t *testing.T, dir string, args ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command("meshc", args...)
	cmd.Dir = dir
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	background(t, cmd)
	return cmd, bufio.NewScanner(log)
}

// drain reads a log that nobody looks at, so that its writer need not wait.
func drain(lines *bufio.Scanner) {
	for lines.Scan() {
	}
}
