package local

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// alive reports whether there is a process of that id.
func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func pids(m *Mesh) (list []int) {
	for _, p := range m.sortedProxies() {
		list = append(list, p.cmd.Process.Pid)
	}
	return list
}

func TestStopLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	mesh, err := Start(ctx, Options{Mesh: compile(t, shopDir)})
	if err != nil {
		t.Fatal(err)
	}
	list, address := pids(mesh), inbound(mesh, "cart", "http")
	if err := mesh.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range list {
		if alive(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Errorf("something listens at %s", address)
	}
	if _, err := os.Stat(mesh.Directory()); !os.IsNotExist(err) {
		t.Errorf("the directory is left: %v", err)
	}
}

// A start that cannot succeed ends with a reason, and leaves nothing.
func TestStartThatFails(t *testing.T) {
	shop := compile(t, shopDir).Clone()
	envoy := filepath.Join(t.TempDir(), "envoy")
	if err := os.WriteFile(envoy, []byte("#!/bin/sh\necho no such luck >&2\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err := Start(ctx, Options{Mesh: shop, Envoy: envoy})
	if err == nil || !strings.Contains(err.Error(), "no such luck") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error %v", err)
	}
	if _, err := Start(ctx, Options{Mesh: shop, Envoy: "/nowhere/envoy"}); err == nil {
		t.Error("a mesh runs without Envoy")
	}
}

// A proxy that dies is seen in the status.
func TestDeadProxyIsSeen(t *testing.T) {
	mesh := start(t, compile(t, shopDir))
	if s := mesh.Status(); !s.Good() {
		t.Fatalf("status %+v", s)
	}
	if err := mesh.proxies["service/cart/a"].cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the dead proxy", func() bool {
		for _, p := range mesh.Status().Proxies {
			if p.ID == "service/cart/a" {
				return p.State == StateExited && len(p.Reasons) == 1
			}
		}
		return false
	})
	if s := mesh.Status(); s.Good() {
		t.Error("the status is good")
	}
}
