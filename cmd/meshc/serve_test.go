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

// served is a meshc serve of a spec that is edited.
type served struct {
	// spec is the directory of the spec, and authority that of the CA.
	spec, authority string
	cmd             *exec.Cmd
	xds, admin      string
	// stream is the proxy of frontend.
	stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
}

// TestServeAndStatus runs meshc serve as a user does, and asks meshc status what
// a proxy makes of it.
func TestServeAndStatus(t *testing.T) {
	s := &served{spec: t.TempDir(), authority: filepath.Join(t.TempDir(), "ca")}
	writeAll(t, s.spec, map[string]string{
		"cue.mod/module.cue": moduleText, "mesh.cue": "package shop\n\nmesh: nam: \"shop\"\n",
	})
	s.makesNoAuthority(t)
	s.start(t)
	s.takesMesh(t)
	s.tellsOfRefusal(t)
	s.comparesSpecs(t)
	watched := s.follows(t)
	s.ends(t)
	watched()
}

// edit replaces the spec of the mesh.
func (s *served) edit(t *testing.T, text string) {
	t.Helper()
	writeAll(t, s.spec, map[string]string{"mesh.cue": text})
}

// wants polls meshc status until it says that and exits so.
func (s *served) wants(t *testing.T, code int, text string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		got, out := meshcStatus(t, "--server", s.admin)
		if got == code && strings.Contains(out, text) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("status exits with %d, want %d and %q:\n%s", got, code, text, out)
		}
	}
}

// makesNoAuthority has a server begin with a wrong mesh: no authority is made for it. With the one that is there then,
// the next one waits for the mesh to become right.
func (s *served) makesNoAuthority(t *testing.T) {
	t.Helper()
	first, err := exec.Command("meshc", "-C", s.spec, "serve", "./...", "--ca", s.authority, "--listen", "127.0.0.1:0",
		"--admin-listen", "127.0.0.1:0", "--enroll-listen", "127.0.0.1:0").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitFindings ||
		!strings.Contains(string(first), "mesh.cue:3:7: error MC0201") || strings.Contains(string(first), "last good") {
		t.Fatalf("serve begins with a wrong mesh: %v: %s", err, first)
	}
	if _, err := os.Stat(s.authority); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("for a wrong mesh %s was made: %v", s.authority, err)
	}
	if _, err := ca.Open(s.authority, secret.Value{}); err != nil {
		t.Fatal(err)
	}
}

func (s *served) start(t *testing.T) {
	t.Helper()
	s.cmd = exec.Command("meshc", "serve", "./...", "--ca", s.authority, "--listen", "127.0.0.1:0", "--admin-listen",
		"127.0.0.1:0", "--enroll-listen", "127.0.0.1:0")
	s.cmd.Dir = s.spec
	log, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.cmd.Process.Kill() }) // it has ended if all went well
	lines := bufio.NewScanner(log)
	var listening struct{ Msg, XDS, Admin string }
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &listening) != nil || listening.Msg != "listening" {
		t.Fatalf("it says first: %s", lines.Text())
	}
	go func() { _, _ = io.Copy(io.Discard, log) }()
	s.xds, s.admin = listening.XDS, listening.Admin
}

// takesMesh makes the mesh right: a proxy is behind until it has acknowledged what it was sent.
func (s *served) takesMesh(t *testing.T) {
	t.Helper()
	s.wants(t, exitFindings, "the mesh on disk is wrong; nothing is served")
	s.edit(t, servedSpec)
	s.wants(t, exitGood, "mesh shop, ")
	s.stream = subscribe(t, s.authority, s.xds, "frontend")
	answer, err := s.stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	s.wants(t, exitFindings, "service/frontend/a   behind")
	if err := s.stream.Send(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl:       answer.TypeUrl,
		ResponseNonce: answer.Nonce,
	}); err != nil {
		t.Fatal(err)
	}
	s.wants(t, exitGood, "service/frontend/a   current")
}

// tellsOfRefusal makes the mesh wrong, and then one that the proxy refuses: either is told with its place in the spec.
func (s *served) tellsOfRefusal(t *testing.T) {
	t.Helper()
	s.edit(t, strings.Replace(servedSpec, "uses: cart", "uses: card", 1))
	s.wants(t, exitFindings, "mesh.cue:6:8 MC1101")
	s.edit(t, strings.Replace(servedSpec, "uses: cart: {}", `uses: cart: retries: budget: percent: 5`, 1))
	answer, err := s.stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.stream.Send(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: answer.TypeUrl, ResponseNonce: answer.Nonce,
		ErrorDetail: &rpcstatus.Status{Message: "Error adding/updating cluster(s) cart.default|http: not with me"},
	}); err != nil {
		t.Fatal(err)
	}
	s.wants(t, exitFindings, "service/frontend/a refused CDS cart.default|http, from mesh.cue:6:8\n  Error adding/updating cluster(s) cart.default|http: not with me")
}

// comparesSpecs wants what is on disk to be what is served, and a copy that lets less in not to be.
func (s *served) comparesSpecs(t *testing.T) {
	t.Helper()
	if code, out := s.diff(t, s.spec); code != exitGood || out != "" {
		t.Errorf("what is served differs from the spec: %d %s", code, out)
	}
	other := t.TempDir()
	if err := os.CopyFS(other, os.DirFS(s.spec)); err != nil {
		t.Fatal(err)
	}
	writeAll(t, other, map[string]string{"mesh.cue": strings.Replace(servedSpec, `{from: services: ["frontend"]}`,
		`{from: services: ["frontend"], methods: ["GET"]}`, 1)})
	if code, out := s.diff(t, other); code != exitFindings ||
		!strings.Contains(out, "newly-denied: service frontend → service cart") {
		t.Errorf("a copy that lets less in: %d %s", code, out)
	}
}

// diff is what meshc diff says of a spec, compared with what is served.
func (s *served) diff(t *testing.T, dir string) (code int, out string) {
	t.Helper()
	diff := exec.Command("meshc", "diff", "--server", s.admin)
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

// ends tells the server to end, which ends the proxy's stream, and meshc status then finds no server.
func (s *served) ends(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := s.stream.Recv(); err == nil {
		t.Error("the stream goes on")
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("SIGTERM ends it with %v", err)
	}
	if code, out := meshcStatus(t, "--server", s.admin); code != exitFault ||
		!strings.Contains(out, "no meshc serve answers") {
		t.Errorf("status exits with %d: %s", code, out)
	}
}

// follows shows the state with --watch, and says when the server is gone.
func (s *served) follows(t *testing.T) (stop func()) {
	t.Helper()
	watch := exec.Command("meshc", "status", "--watch", "--server", s.admin)
	out, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = watch.Process.Kill() }) // it is gone where the test passes
	lines := bufio.NewScanner(out)
	until := func(want string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), want) {
				return
			}
		}
		t.Fatalf("status --watch ends without %q", want)
	}
	until("PROXY")
	return func() {
		t.Helper()
		until("no meshc serve answers")
		if err := watch.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := watch.Wait(); err != nil {
			t.Errorf("an interrupt ends status --watch with %v", err)
		}
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
