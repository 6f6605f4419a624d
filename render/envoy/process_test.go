package envoy

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
)

// binary finds Envoy: $ENVOY, else PATH, else .tools/envoy of the module.
func envoyBinary(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("ENVOY"); path != "" {
		return path
	}
	if path, err := exec.LookPath("envoy"); err == nil {
		return path
	}
	path, err := filepath.Abs("../../.tools/envoy")
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("no Envoy: set $ENVOY, put envoy into PATH, or run \"make tools\": %v", err)
	}
	return path
}

// configFile writes a bootstrap as meshc writes it.
func configFile(t testing.TB, boot *bootstrapv3.Bootstrap) string {
	t.Helper()
	data, err := YAML(boot)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "envoy.yaml")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// validate demands that Envoy would take the bootstrap.
func validate(t *testing.T, boot *bootstrapv3.Bootstrap) {
	t.Helper()
	out, err := exec.Command(envoyBinary(t), "--mode", "validate", "--log-level", "error", "-c", configFile(t, boot)).
		CombinedOutput()
	if err != nil {
		t.Errorf("Envoy refuses it: %v\n%s", err, out)
	}
}

// launch runs an Envoy until the test ends. Ended is closed, after the cause was set, when it ends by itself.
func launch(t *testing.T, boot *bootstrapv3.Bootstrap) (ended <-chan struct{}, cause *error) {
	t.Helper()
	cause = new(error)
	var log logBuffer
	cmd := exec.Command(envoyBinary(t), "-c", configFile(t, boot), "--concurrency", "1", "--disable-hot-restart",
		"--log-level", "warning")
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { *cause = cmd.Wait(); close(exited) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may be gone already
		select {
		case <-exited:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-exited
		}
		if t.Failed() {
			t.Logf("log of %s:\n%s", boot.Node.Id, log.String())
		}
	})
	return exited, cause
}

// start runs an Envoy until the test ends, and waits until it is ready.
func start(t *testing.T, boot *bootstrapv3.Bootstrap) {
	t.Helper()
	exited, cause := launch(t, boot)
	a := boot.Admin.Address.GetSocketAddress()
	ready := fmt.Sprintf("http://%s/ready", net.JoinHostPort(a.Address, fmt.Sprint(a.GetPortValue())))
	eventually(t, boot.Node.Id+" is ready", func() error {
		select {
		case <-exited:
			t.Fatalf("%s ended: %v", boot.Node.Id, *cause)
		default:
		}
		answer, err := http.Get(ready)
		if err != nil {
			return err
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return errors.New(answer.Status)
		}
		return nil
	})
}

// eventually polls a condition until it holds.
func eventually(t *testing.T, what string, condition func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in time: %v", what, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// freePorts are ports on which nothing listens, below those that Linux gives to
// outgoing connections and to listeners on port 0. They are the test's until it
// ends: a socket in Linux's abstract namespace is the lock between tests.
func freePorts(t testing.TB, n int) []uint16 {
	t.Helper()
	var ports []uint16
	for _, i := range rand.Perm(22000) {
		port := uint16(10000 + i)
		lock, err := net.Listen("unix", fmt.Sprintf("@meshc/test/%d", port))
		if err != nil {
			continue
		}
		t.Cleanup(func() { _ = lock.Close() })
		probe, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		if err := probe.Close(); err != nil {
			t.Fatal(err)
		}
		if ports = append(ports, port); len(ports) == n {
			return ports
		}
	}
	t.Fatalf("only %d free ports of %d", len(ports), n)
	return nil
}

// logBuffer is what a process wrote.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
