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
	"sync/atomic"
	"syscall"
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
	server, admin, enroll := loopback.Server(), loopback.Server(), loopback.Server()
	at := func(host string) string { return net.JoinHostPort(host, strconv.Itoa(int(port(host)))) }
	server, admin, enroll = at(server), at(admin), at(enroll)
	bind, target := port("127.0.0.1"), port("127.0.0.1")
	dir := t.TempDir()
	spec := strings.NewReplacer("LIFE", max(20*time.Second, 5*outage).String(), "SERVER", server, "WEBADMIN",
		fmt.Sprint(port("127.0.0.1")), "STOREADMIN", fmt.Sprint(port("127.0.0.1")), "WEB", web, "STORE", store,
		"BIND", fmt.Sprint(bind), "PORT", fmt.Sprint(port(store)), "TARGET", fmt.Sprint(target), "DIR",
		dir+"/certificates").Replace(hostsSpec)
	for name, text := range map[string]string{
		"cue.mod/module.cue": "module: \"shop.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n", "mesh.cue": spec,
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	meshc := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("meshc", args...)
		cmd.Dir = dir
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
	meshc("compile", "-o", "out")

	serve := func() *exec.Cmd {
		t.Helper()
		cmd, lines := startMeshc(t, dir, "serve", "out", "--ca", "ca", "--listen", server, "--admin-listen", admin,
			"--enroll-listen", enroll)
		if !lines.Scan() || !strings.Contains(lines.Text(), `"msg":"listening"`) {
			t.Fatalf("serve says first: %s", lines.Text())
		}
		go drain(lines)
		return cmd
	}
	running := serve()
	for _, member := range []string{"web", "store"} {
		parameters, file := "out/certificates/default/"+member+".yaml", filepath.Join(dir, member+".token")
		if err := os.WriteFile(file, []byte(meshc("certs", "token", parameters, "--ca", "ca")), 0o600); err != nil {
			t.Fatal(err)
		}
		_, lines := startMeshc(t, dir, "certs", "request", parameters, "--server", enroll, "--token-file", file,
			"--keep")
		if !lines.Scan() || !strings.Contains(lines.Text(), "a certificate was issued") {
			t.Fatalf("certs request says first: %s", lines.Text())
		}
		go drain(lines)
		if out := meshc("certs", "inspect", filepath.Join(dir, "certificates", member)); !strings.Contains(out,
			"it is spiffe://shop.example/ns/default/sa/"+member) || !strings.Contains(out, "it is renewed until ") {
			t.Errorf("inspect says\n%s", out)
		}
	}
	var answered atomic.Int64
	application, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", fmt.Sprint(target)))
	if err != nil {
		t.Fatal(err)
	}
	app := &http.Server{
		ReadHeaderTimeout: time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answered.Add(1)
			_, _ = io.WriteString(w, r.Header.Get("x-forwarded-client-cert")) // the caller may be gone
		}),
	}
	go func() { _ = app.Serve(application) }()
	t.Cleanup(func() { app.Close() })
	proxy := func(member string) *exec.Cmd {
		t.Helper()
		cmd := exec.Command(envoy, "-c", "out/envoy/default/"+member+".yaml", "--concurrency", "1",
			"--disable-hot-restart", "--log-level", "warning")
		cmd.Dir = dir
		return background(t, cmd)
	}
	proxy("store")
	caller := proxy("web")

	ask := func() (string, error) {
		client := http.Client{Timeout: 10 * time.Second}
		answer, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/", bind))
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
	soon := func(what string, holds func() bool) {
		t.Helper()
		for deadline := time.Now().Add(30*time.Second + outage); !holds(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("it never came: %s", what)
			}
		}
	}
	soon("a request from web to store", func() bool {
		body, err := ask()
		return err == nil && strings.Contains(body, "URI=spiffe://shop.example/ns/default/sa/web")
	})

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
			if _, err := ask(); err != nil {
				ended <- fmt.Sprintf("request %d failed: %v", sent, err)
				return
			}
			sent++
		}
	}()
	for range 2 {
		if err := running.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = running.Wait() // it was killed
		gone := time.Now()
		soon("the end of the outage", func() bool { return time.Since(gone) > outage })
		running = serve()
		soon("both proxies at serve", func() bool {
			var report struct{ Proxies []struct{ Connected bool } }
			cmd := exec.Command("meshc", "status", "--server", admin, "-o", "json")
			out, _ := cmd.Output() // it exits with 1 while a proxy is behind
			if json.Unmarshal(out, &report) != nil {
				return false
			}
			connected := 0
			for _, p := range report.Proxies {
				if p.Connected {
					connected++
				}
			}
			return connected == 2
		})
	}
	close(stop)
	if said := <-ended; strings.Contains(said, "failed") {
		t.Error(said)
	} else {
		t.Log(said)
	}

	// While serve is away, an Envoy that starts takes nothing.
	if err := running.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = running.Wait() // it was killed
	_ = caller.Process.Signal(syscall.SIGTERM)
	_ = caller.Wait() // it was told to
	proxy("web")
	soon("an Envoy that is up", func() bool {
		answer, err := http.Get("http://" + adminOf(t, dir, "web") + "/ready")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusServiceUnavailable
	})
	if _, err := ask(); err == nil {
		t.Error("a proxy without its configuration lets a request through")
	}
	serve()
	soon("a request again", func() bool { _, err := ask(); return err == nil })
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
