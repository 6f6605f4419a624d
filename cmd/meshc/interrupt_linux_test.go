package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestInterrupt wants a compilation to end when it is told to, even in the midst
// of a value that CUE takes minutes over.
func TestInterrupt(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"cue.mod/module.cue": "module: \"shop.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n",
		"mesh.cue": `package shop

import "list"

mesh: {name: "shop", trustDomain: "shop.example"}
_all: [for i in list.Range(0, 3000, 1) for j in list.Range(0, 3000, 1) {i * j}]
services: web: workload: deployment: "web\(list.Sum(_all))"
`,
	} {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content),
			0o644)); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	cmd := exec.Command("meshc", "compile", "-o", filepath.Join(dir, "out"))
	cmd.Dir, cmd.Stderr = dir, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended if all went well
	for deadline := time.Now().
		Add(20 * time.Second); ticks(t, cmd.Process.Pid) < 50; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not compute")
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitFault || out.String() != "meshc: interrupted\n" {
			t.Errorf("%v: %s", err, out.String())
		}
	case <-time.After(20 * time.Second):
		t.Error("it goes on")
	}
}

// ticks is the time that a process has computed, in hundredths of a second
// (proc_pid_stat(5), utime).
func ticks(t *testing.T, pid int) int {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, fields, _ := strings.Cut(string(stat), ") ")
	n, err := strconv.Atoi(strings.Fields(fields)[11])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
