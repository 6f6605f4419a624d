package load

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestMain is also the process that confines itself and then tries what it may not.
func TestMain(m *testing.M) {
	if os.Getenv("MESHC_CONFINED") == "" {
		os.Exit(m.Run())
	}
	if err := confine(64 << 20); err != nil {
		fmt.Println("confine:", err)
		os.Exit(3)
	}
	var tried sync.WaitGroup
	try := func(what string, f func() error) {
		for range 4 { // on several threads
			tried.Go(func() {
				if f() == nil {
					fmt.Println("it could", what)
				}
			})
		}
		tried.Wait()
	}
	try("read a file", func() error { _, err := os.ReadFile("/etc/passwd"); return err })
	try("read its own environment", func() error { _, err := os.ReadFile("/proc/self/environ"); return err })
	try("write a file", func() error { return os.WriteFile("escaped", nil, 0o600) })
	try("remove a file", func() error { return os.Remove("here") })
	try("list a directory", func() error { _, err := os.ReadDir("/"); return err })
	try("make a directory", func() error { return os.Mkdir("made", 0o700) })
	try("link", func() error { return os.Symlink("a", "b") })
	try("connect", func() error { _, err := net.Dial("tcp", "127.0.0.1:1"); return noSocket(err) })
	try("make a socket", func() error { _, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0); return err })
	try("listen", func() error { _, err := net.Listen("tcp", "127.0.0.1:0"); return err })
	try("listen on a path", func() error { _, err := net.Listen("unix", "@meshc-confined"); return err })
	try("run a program", func() error { return exec.Command("/bin/true").Run() })
	try("end another process", func() error { return syscall.Kill(os.Getppid(), 0) })
	fmt.Println("done")
	os.Exit(0)
}

// noSocket is nil when a socket was had, though nobody answered there.
func noSocket(err error) error {
	if err != nil && strings.Contains(err.Error(), "connection refused") {
		return nil
	}
	return err
}

// TestConfined: the process that evaluates can open nothing, connect nowhere and start
// nothing.
func TestConfined(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Dir = t.TempDir()
	if err := os.WriteFile(cmd.Dir+"/here", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "MESHC_CONFINED=1")
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "done\n" {
		t.Errorf("%v: %s", err, out)
	}
}
