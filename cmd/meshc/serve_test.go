package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/identity/ca"
)

const servedSpec = `package shop

mesh: {name: "shop", trustDomain: "shop.example"}
services: frontend: {
	workload: endpoints: [{address: "10.0.0.1"}]
	uses: cart: {}
}
services: cart: {
	workload: endpoints: [{address: "10.0.0.2"}]
	ports: http: {port: 8081, protocol: "http"}
	// That the time of a rule is over keeps no server from starting.
	allow: [{from: services: ["frontend"]}, {name: "once", from: services: ["frontend"], until: "2020-01-01"}]
}
`

// TestServeAndStatus runs meshc serve as a user does, and asks meshc status what
// a proxy makes of it.
func TestServeAndStatus(t *testing.T) {
	spec, authority := t.TempDir(), filepath.Join(t.TempDir(), "ca")
	write := func(name, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(spec, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(spec, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("cue.mod/module.cue", "module: \"shop.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n")
	write("mesh.cue", "package shop\n\nmesh: nam: \"shop\"\n")

	// For a wrong mesh no authority is made; with the one that is there a server waits for it to become right.
	first, err := exec.Command("meshc", "-C", spec, "serve", "./...", "--ca", authority, "--listen", "127.0.0.1:0",
		"--admin-listen", "127.0.0.1:0", "--enroll-listen", "127.0.0.1:0").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitFindings ||
		!strings.Contains(string(first), "mesh.cue:3:7: error MC0201") || strings.Contains(string(first), "last good") {
		t.Fatalf("serve begins with a wrong mesh: %v: %s", err, first)
	}
	if _, err := os.Stat(authority); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("for a wrong mesh %s was made: %v", authority, err)
	}
	if _, err := ca.Open(authority, secret.Value{}); err != nil {
		t.Fatal(err)
	}

	cmd := exec.Command("meshc", "serve", "./...", "--ca", authority, "--listen", "127.0.0.1:0", "--admin-listen",
		"127.0.0.1:0", "--enroll-listen", "127.0.0.1:0")
	cmd.Dir = spec
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended if all went well
	lines := bufio.NewScanner(log)
	var listening struct{ Msg, XDS, Admin string }
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &listening) != nil || listening.Msg != "listening" {
		t.Fatalf("it says first: %s", lines.Text())
	}
	go func() { _, _ = io.Copy(io.Discard, log) }()
	// wants polls meshc status until it says that and exits so.
	wants := func(code int, text string) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			got, out := meshcStatus(t, "--server", listening.Admin)
			if got == code && strings.Contains(out, text) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("status exits with %d, want %d and %q:\n%s", got, code, text, out)
			}
		}
	}

	wants(exitFindings, "the mesh on disk is wrong; nothing is served")
	write("mesh.cue", servedSpec)
	wants(exitGood, "mesh shop, ")
	stream := subscribe(t, authority, listening.XDS, "frontend")
	answer, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	wants(exitFindings, "service/frontend/a   behind")
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl:       answer.TypeUrl,
		ResponseNonce: answer.Nonce,
	}); err != nil {
		t.Fatal(err)
	}
	wants(exitGood, "service/frontend/a   current")

	write("mesh.cue", strings.Replace(servedSpec, "uses: cart", "uses: card", 1))
	wants(exitFindings, "mesh.cue:6:8 MC1101")
	write("mesh.cue", strings.Replace(servedSpec, "uses: cart: {}", `uses: cart: retries: budget: percent: 5`, 1))
	if answer, err = stream.Recv(); err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: answer.TypeUrl, ResponseNonce: answer.Nonce,
		ErrorDetail: &rpcstatus.Status{Message: "Error adding/updating cluster(s) cart.default|http: not with me"},
	}); err != nil {
		t.Fatal(err)
	}
	wants(exitFindings, "service/frontend/a refused CDS cart.default|http, from mesh.cue:6:8\n  Error adding/updating cluster(s) cart.default|http: not with me")

	// What is on disk is what is served, and a copy that lets less in is not.
	compared := func(dir string) (code int, out string) {
		t.Helper()
		diff := exec.Command("meshc", "diff", "--server", listening.Admin)
		diff.Dir = dir
		text, err := diff.CombinedOutput()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return exit.ExitCode(), string(text)
		} else if err != nil {
			t.Fatal(err)
		}
		return 0, string(text)
	}
	if code, out := compared(spec); code != exitGood || out != "" {
		t.Errorf("what is served differs from the spec: %d %s", code, out)
	}
	other := t.TempDir()
	if err := os.CopyFS(other, os.DirFS(spec)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(other, "mesh.cue"),
		[]byte(strings.Replace(servedSpec, `{from: services: ["frontend"]}`,
			`{from: services: ["frontend"], methods: ["GET"]}`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := compared(other); code != exitFindings ||
		!strings.Contains(out, "newly-denied: service frontend → service cart") {
		t.Errorf("a copy that lets less in: %d %s", code, out)
	}

	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err == nil {
		t.Error("the stream goes on")
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("SIGTERM ends it with %v", err)
	}
	if code, out := meshcStatus(t, "--server", listening.Admin); code != exitFault ||
		!strings.Contains(out, "no meshc serve answers") {
		t.Errorf("status exits with %d: %s", code, out)
	}
}

func meshcStatus(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	text, err := exec.Command("meshc", append([]string{"status"}, args...)...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit != nil {
		code = exit.ExitCode()
	}
	return code, string(text)
}

// subscribe asks for the clusters of a service, as its proxy does.
func subscribe(t *testing.T, authority, server,
	service string,
) discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient {
	t.Helper()
	a, err := ca.Open(authority, secret.Value{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Certificate(spiffeid.RequireFromString("spiffe://shop.example/ns/default/sa/"+service), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.Bundle())
	conn, err := grpc.NewClient(server, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
		RootCAs: pool, ServerName: "127.0.0.1", Certificates: []tls.Certificate{*c},
	})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
		Node:    &corev3.Node{Id: "service/" + service + "/a"},
		TypeUrl: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
	}); err != nil {
		t.Fatal(err)
	}
	return stream
}
