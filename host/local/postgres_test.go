package local

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A real PostgreSQL answers its own client through two proxies.
//
// Field: ports.protocol
func TestPostgres(t *testing.T) {
	mesh := trafficMesh(t)
	mesh.Backend("database", "a").Close()
	placed := mesh.Placed()
	instance := placed.Service("database").Workload.Endpoints[0]
	startPostgres(t, mesh, netip.AddrPortFrom(netip.MustParseAddr(instance.Address), instance.Targets["http"]))

	client := placed.Service("client")
	scope := placed.ServiceScope(client)
	var at netip.AddrPort
	for _, use := range client.Uses {
		if use.To == "database" {
			at = netip.MustParseAddrPort(use.Bind("http", scope.Loopback(client.Workload.Endpoints[0].Name)))
		}
	}
	ask := func(sql string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		out, err := exec.CommandContext(ctx, postgresProgram("psql"), "-h", at.Addr().
			String(), "-p", strconv.Itoa(int(at.Port())), "-U", "mesh", "-d", "postgres", "-Atc", sql).CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	eventually(t, "an answer of PostgreSQL", func() bool {
		got, err := ask("select 6*7")
		return err == nil && got == "42"
	})
	if got, err := ask("select sum(n), max(n) from generate_series(1, 100000) n"); err != nil ||
		got != "5000050000|100000" {
		t.Errorf("%q, %v", got, err)
	}
	if n := counted(t, mesh, "service/database/a", `^tcp\.inbound\|http\.downstream_cx_total$`); n == 0 {
		t.Error("nothing went through the service's proxy")
	}
}

// startPostgres runs a new PostgreSQL until the test ends. It refuses to run as
// root, and then runs as nobody.
func startPostgres(t *testing.T, mesh *Mesh, at netip.AddrPort) {
	t.Helper()
	dir, err := os.MkdirTemp("", "meshc-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	attributes := &syscall.SysProcAttr{}
	if os.Getuid() == 0 {
		nobody, err := user.Lookup("nobody")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(nobody.Uid)
		gid, _ := strconv.Atoi(nobody.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		attributes.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	data := filepath.Join(dir, "data")
	initdb := exec.Command(postgresProgram("initdb"), "-D", data, "-U", "mesh", "--auth", "trust", "--no-sync")
	initdb.SysProcAttr, initdb.Dir = attributes, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v (README.md says what the tests need)\n%s", err, out)
	}
	server := exec.Command(postgresProgram("postgres"), "-D", data, "-h", at.Addr().
		String(), "-p", strconv.Itoa(int(at.Port())), "-k", dir, "-F")
	server.Dir = dir
	background(t, mesh, server, attributes.Credential)
}

// postgresProgram is a program of PostgreSQL: on the path, or where Debian puts it.
func postgresProgram(name string) string {
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); len(found) > 0 {
		return found[len(found)-1]
	}
	return name
}
