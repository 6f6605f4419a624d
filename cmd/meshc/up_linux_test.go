package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestUp runs meshc up as a user does, on a copy of examples/shop.
func TestUp(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "meshc")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, test := range map[string]func(t *testing.T, binary string){
		"until Ctrl-C":               upUntilInterrupt,
		"until it is killed":         upUntilKilled,
		"until its terminal is gone": upUntilHangup,
		"with gateways of TLS":       upPrintsGateways,
		"without a gateway":          upPrintsCalls,
		"not with a wrong spec":      upRefusesSpec,
		"not without Envoy":          upNeedsEnvoy,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, binary)
		})
	}
}

// upUntilInterrupt sends requests, edits the spec, and ends it as a user does.
func upUntilInterrupt(t *testing.T, binary string) {
	up := startUp(t, binary)
	works, denied := up.curls(t)
	up.answers(t, works, denied)
	up.curlAsks(t)
	up.followsSpec(t, works)

	// As a terminal does it: to the whole process group.
	if err := syscall.Kill(-up.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := up.wait(t); err != nil {
		t.Errorf("it ended with %v: %s", err, up.output())
	}
	up.leavesNothing(t)
}

// answers wants what meshc up printed to hold: the requests, the gateway, its Envoys, and meshc top.
func (up *upProcess) answers(t *testing.T, works, denied curl) {
	t.Helper()
	if status, body := works.send(t); status != http.StatusOK || strings.Count(body, `"service":`) != 3 {
		t.Errorf("the request that works: %d %s", status, body)
	}
	if status, body := denied.send(t); status != http.StatusForbidden {
		t.Errorf("the request that is denied: %d %s", status, body)
	}
	if status, _ := (curl{"GET", up.match(t, `gateway public: (\S+)`)[1]}).send(t); status != http.StatusOK {
		t.Errorf("the gateway: %d", status)
	}
	if n := len(up.processes(t)); n != 9 {
		t.Errorf("%d Envoys run, want 9", n)
	}

	up.match(t, `what calls what: http://(\S+)/, or meshc top in this directory`)
	top := exec.Command(up.Path, "top", "--once") // which finds the mesh
	top.Dir, top.Env = filepath.Join(up.spec, "services"), up.Env
	if out, err := top.CombinedOutput(); err != nil || !strings.Contains(string(out), "REQ/S") {
		t.Errorf("meshc top: %v: %s", err, out)
	}
}

// curlAsks sends requests by meshc curl, which finds the mesh; that a request is denied is as expected, too.
func (up *upProcess) curlAsks(t *testing.T) {
	t.Helper()
	form := filepath.Join(up.dir, "form")
	if err := os.WriteFile(form, []byte("a=1"), 0o600); err != nil {
		t.Fatal(err)
	}
	nothing := t.TempDir()
	for _, c := range []struct {
		in, args string
		code     int
		says     string
	}{
		{up.spec, "--from gateway:public http://shop/products", 0, "answered 200 by catalog v"},
		{
			filepath.Join(up.spec, "services"), "--from frontend http://checkout/shop.Checkout/Place -X POST", 0,
			"200 by checkout v",
		},
		{up.spec, "--from frontend http://checkout/other -o json -d @" + form, 0, `"status": 403`},
		{up.spec, "--from frontend http://checkout/other --jwt role=buyer", exitFault, "no token issuer"},
		{up.spec, "--from identity:spiffe://shop.example/a http://checkout/", exitFault, "has no proxy in the mesh"},
		{nothing, "--from frontend http://checkout/", exitFault, "there is no mesh here"},
	} {
		cmd := exec.Command(up.Path, append([]string{"curl"}, strings.Fields(c.args)...)...)
		cmd.Dir, cmd.Env = c.in, up.Env
		out, _ := cmd.CombinedOutput() // its code says whether it failed
		if cmd.ProcessState.ExitCode() != c.code || !strings.Contains(string(out), c.says) {
			t.Errorf("meshc curl %s: exit %d: %s", c.args, cmd.ProcessState.ExitCode(), out)
		}
	}
}

// followsSpec makes the spec wrong, which changes nothing, and then allows one more method.
func (up *upProcess) followsSpec(t *testing.T, works curl) {
	t.Helper()
	spec := filepath.Join(up.spec, "services/frontend/service.cue")
	good, err := os.ReadFile(spec)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, spec, bytes.Replace(good, []byte("cart:"), []byte("cort:"), 1))
	up.match(t, `(?s)services/frontend/service\.cue:\d+:\d+: error MC1101.*the last good one runs on`)
	if status, _ := works.send(t); status != http.StatusOK {
		t.Errorf("while the spec is wrong: %d", status)
	}
	replace(t, spec, bytes.Replace(good, []byte(`["GET", "POST"]`), []byte(`["GET", "POST", "DELETE"]`), 1))
	up.match(t, `every proxy has taken it`)
	// A proxy says that it has taken something when its main thread has; its
	// worker follows.
	allowed := curl{"DELETE", up.match(t, `gateway public: (\S+)`)[1]}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		status, body := allowed.send(t)
		if status == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("what is allowed now: %d %s", status, body)
		}
	}
}

// upUntilKilled leaves no Envoy behind, and a directory that the next meshc up removes.
func upUntilKilled(t *testing.T, binary string) {
	up := startUp(t, binary, temporary)
	up.curls(t)
	if err := up.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := up.wait(t); err == nil {
		t.Error("it was killed and ended well")
	}
	up.leavesNothing(t)
	if left := up.files(t); len(left) != 1 {
		t.Errorf("there are %v", left)
	}
	// The next one removes what this one could not, before it has an Envoy.
	next := exec.Command(binary, "up", "--envoy", "/nowhere/envoy")
	next.Dir, next.Env = up.spec, up.Env
	if out, err := next.CombinedOutput(); err == nil {
		t.Errorf("there is no such Envoy: %s", out)
	}
	if left := up.files(t); len(left) > 0 {
		t.Errorf("the next one left %v", left)
	}
}

// upUntilHangup leaves nothing behind.
func upUntilHangup(t *testing.T, binary string) {
	heard := make(chan os.Signal, 1) // else the child would ignore it where this test was started by nohup
	signal.Notify(heard, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(heard) })
	up := startUp(t, binary, temporary)
	up.curls(t)
	if err := up.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if err := up.wait(t); err != nil {
		t.Errorf("it ended with %v: %s", err, up.output())
	}
	up.leavesNothing(t)
	if left := up.files(t); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
}

func upRefusesSpec(t *testing.T, binary string) {
	cmd := exec.Command(binary, "up")
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitFault || !strings.Contains(string(out), "MC0003") {
		t.Errorf("%v: %s", err, out)
	}
}

func upNeedsEnvoy(t *testing.T, binary string) {
	cmd := exec.Command(binary, "up", "--envoy", "/nowhere/envoy")
	cmd.Dir = "../../examples/hosts"
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitFault || !strings.Contains(string(out), "/nowhere/envoy") {
		t.Errorf("%v: %s", err, out)
	}
}

// upProcess is a running meshc up.
type upProcess struct {
	*exec.Cmd
	spec, dir string
	ended     chan error
	mu        sync.Mutex
	out       bytes.Buffer
}

// temporary has meshc up take a temporary directory, in the process' own TMPDIR.
const temporary = true

// startUp runs a copy of examples/shop.
func startUp(t *testing.T, binary string, temporary ...bool) *upProcess {
	t.Helper()
	spec := t.TempDir()
	if err := os.CopyFS(spec, os.DirFS("../../examples/shop")); err != nil {
		t.Fatal(err)
	}
	return startUpOf(t, binary, spec, temporary...)
}

func startUpOf(t *testing.T, binary, spec string, temporary ...bool) *upProcess {
	t.Helper()
	up := &upProcess{spec: spec, dir: t.TempDir(), ended: make(chan error, 1)}
	envoy, err := exec.LookPath("envoy")
	if err != nil {
		envoy, err = filepath.Abs("../../.tools/envoy")
	}
	if e := os.Getenv("ENVOY"); e != "" {
		envoy = e
	}
	if err != nil {
		t.Fatal(err)
	}
	up.Cmd = exec.Command(binary, "up", "--dir", up.dir, "--envoy", envoy)
	if len(temporary) > 0 {
		up.Cmd = exec.Command(binary, "up", "--envoy", envoy)
		up.Env = append(os.Environ(), "TMPDIR="+up.dir)
	}
	up.Dir, up.Stdout, up.Stderr = up.spec, up, up
	up.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { up.ended <- up.Cmd.Wait() }()
	t.Cleanup(func() { _ = up.Process.Kill() })
	return up
}

func (up *upProcess) Write(p []byte) (int, error) {
	up.mu.Lock()
	defer up.mu.Unlock()
	return up.out.Write(p)
}

func (up *upProcess) output() string {
	up.mu.Lock()
	defer up.mu.Unlock()
	return up.out.String()
}

// match waits until what it has printed matches.
func (up *upProcess) match(t *testing.T, expression string) []string {
	t.Helper()
	re := regexp.MustCompile(expression)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		out := up.output()
		if m := re.FindStringSubmatch(out); m != nil {
			return m
		}
		if time.Now().After(deadline) || len(up.ended) > 0 {
			t.Fatalf("it did not print %s, but:\n%s", expression, out)
		}
	}
}

// curls are the two lines that it prints, once its state stands below them.
func (up *upProcess) curls(t *testing.T) (works, denied curl) {
	t.Helper()
	m := up.match(t, `(?s)works, 200 .*?\n  (curl [^\n]+)\n.*denied, 403.*?\n  (curl [^\n]+)\n.*\nservice/payment/a +current`)
	return parseCurl(t, m[1]), parseCurl(t, m[2])
}

func (up *upProcess) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-up.ended:
		return err
	case <-time.After(30 * time.Second):
		t.Fatalf("it does not end: %s", up.output())
		return nil
	}
}

// processes are those that were started for its directory.
func (up *upProcess) processes(t *testing.T) (list []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && bytes.Contains(line, []byte(up.dir)) && !bytes.Contains(line, []byte("--dir")) {
			list = append(list, file+" "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return list
}

// files are what is in its directory.
func (up *upProcess) files(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(up.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (up *upProcess) leavesNothing(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		left := up.processes(t)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("processes are left: %s", strings.Join(left, "\n"))
		}
	}
}

// curl is a line of curl.
type curl struct{ method, url string }

func parseCurl(t *testing.T, line string) curl {
	t.Helper()
	m := regexp.MustCompile(`^curl(?: -X ([A-Z]+))? '([^']+)'$`).FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("this is more than a method and a URL: %s", line)
	}
	c := curl{m[1], m[2]}
	if c.method == "" {
		c.method = http.MethodGet
	}
	return c
}

func (c curl) send(t *testing.T) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), c.method, c.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, fmt.Sprint(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, fmt.Sprint(err)
	}
	return answer.StatusCode, string(body)
}

// replace writes a file as editors do.
func replace(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := errors.Join(os.WriteFile(name+".new", data, 0o644), os.Rename(name+".new", name)); err != nil {
		t.Fatal(err)
	}
}
