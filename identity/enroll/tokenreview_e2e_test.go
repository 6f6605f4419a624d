//go:build e2e

package enroll_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/identity/apiserver"
	"github.com/meshc/meshc/identity/enroll"
	"github.com/meshc/meshc/identity/svid"
	"github.com/meshc/meshc/identity/tokenreview"
)

// apiServer is a Kubernetes API server with an etcd of its own.
type apiServer struct {
	url    string
	client *http.Client
	caFile string
}

const adminToken = "the-administrator-of-this-test"

func startAPIServer(t *testing.T) *apiServer {
	t.Helper()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	keyFile, tokens := filepath.Join(dir, "sa.key"), filepath.Join(dir, "tokens.csv")
	for name, data := range map[string][]byte{
		keyFile: pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}),
		tokens:  []byte(adminToken + ",admin,admin,system:masters\n"),
	} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	client, peer, secure := freePort(t), freePort(t), freePort(t)
	run(t, "etcd", "--data-dir", filepath.Join(dir, "etcd"), "--listen-client-urls", "http://127.0.0.1:"+client, "--advertise-client-urls", "http://127.0.0.1:"+client,
		"--listen-peer-urls", "http://127.0.0.1:"+peer, "--initial-advertise-peer-urls", "http://127.0.0.1:"+peer, "--initial-cluster", "default=http://127.0.0.1:"+peer,
		"--unsafe-no-fsync", "--log-level", "error")
	run(t, "kube-apiserver", "--etcd-servers", "http://127.0.0.1:"+client, "--bind-address", "127.0.0.1", "--secure-port", secure, "--cert-dir", filepath.Join(dir, "certs"),
		"--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", keyFile, "--service-account-signing-key-file", keyFile,
		"--token-auth-file", tokens, "--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.96.0.0/16", "--anonymous-auth=false", "--v", "0")
	a := &apiServer{url: "https://127.0.0.1:" + secure, caFile: filepath.Join(dir, "certs", "apiserver.crt")}
	until(t, "the API server is ready", func() bool {
		roots, err := os.ReadFile(a.caFile) // it signs its own
		if err != nil {
			return false
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(roots)
		a.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool},
		}}
		code, _ := a.do(t, http.MethodGet, "/readyz", nil)
		return code == http.StatusOK
	})
	t.Cleanup(func() { a.client.CloseIdleConnections() })
	return a
}

func (a *apiServer) do(t *testing.T, method, path string, body any) (int, []byte) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, a.url+path, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+adminToken)
	r.Header.Set("Content-Type", "application/json")
	answer, err := a.client.Do(r)
	if err != nil {
		return 0, nil
	}
	defer answer.Body.Close()
	data, err = io.ReadAll(answer.Body)
	if err != nil {
		return 0, nil
	}
	return answer.StatusCode, data
}

func (a *apiServer) create(t *testing.T, path string, body map[string]any) []byte {
	t.Helper()
	code, said := a.do(t, http.MethodPost, path, body)
	if code != http.StatusCreated {
		t.Fatalf("%s: %d %s", path, code, said)
	}
	return said
}

func (a *apiServer) account(t *testing.T, namespace, name string) {
	t.Helper()
	a.create(t, "/api/v1/namespaces/"+namespace+"/serviceaccounts", map[string]any{"metadata": map[string]any{"name": name}})
}

// token is one of a service account, in a file.
func (a *apiServer) token(t *testing.T, namespace, name string, audiences ...string) string {
	t.Helper()
	said := a.create(t, "/api/v1/namespaces/"+namespace+"/serviceaccounts/"+name+"/token", map[string]any{"spec": map[string]any{"audiences": audiences, "expirationSeconds": 600}})
	var request struct{ Status struct{ Token string } }
	if err := json.Unmarshal(said, &request); err != nil {
		t.Fatal(err)
	}
	return written(t, []byte(request.Status.Token))
}

func written(t *testing.T, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// run starts one of the programs of Kubernetes, which test/cluster builds.
func run(t *testing.T, program string, args ...string) {
	t.Helper()
	var log bytes.Buffer
	c := exec.Command(program, args...)
	c.Stdout, c.Stderr = &log, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill() // it holds nothing that is to last
		_ = c.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", program, log.String()[max(0, log.Len()-3000):])
		}
	})
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("it never came: %s", what)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// TestServiceAccountTokens has a real API server say whose tokens are, and pods get
// their certificates by them: each that of its own account, and no other.
func TestServiceAccountTokens(t *testing.T) {
	api := startAPIServer(t)
	for _, namespace := range []string{"shop", "shop-system", "other"} {
		api.create(t, "/api/v1/namespaces", map[string]any{"metadata": map[string]any{"name": namespace}})
	}
	for _, account := range [][2]string{{"shop", "cart"}, {"shop", "payment"}, {"shop", "stranger"}, {"other", "cart"}, {"shop-system", "meshc"}} {
		api.account(t, account[0], account[1])
	}
	own := api.token(t, "shop-system", "meshc")
	review := &tokenreview.Reviewer{API: apiserver.API{Address: api.url, TokenFile: own, CAFile: api.caFile}}
	r := start(t, func(c *enroll.Config) { c.TokenReview = review })
	trust := written(t, r.Bundle())
	audience := r.server.String()
	obtain := func(tokenFile, dir string) (*svid.Held, error) {
		k := r.keeper(t, dir, cart, secret.Value{})
		k.Issuer = &enroll.Client{
			Address: r.address, Server: r.server, Directory: dir, ServiceAccountTokenFile: tokenFile, TrustFile: trust,
		}
		return k.Obtain(t.Context())
	}
	good := api.token(t, "shop", "cart", audience)

	if _, err := obtain(good, t.TempDir()+"/c"); err == nil {
		t.Error("a server whose account may not review tokens takes one")
	}
	api.create(t, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", map[string]any{
		"metadata": map[string]any{"name": "meshc"},
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator"},
		"subjects": []any{map[string]any{"kind": "ServiceAccount", "namespace": "shop-system", "name": "meshc"}},
	})
	dir := filepath.Join(t.TempDir(), "cart")
	until(t, "a certificate for a token", func() bool { _, err := obtain(good, dir); return err == nil })
	held, err := svid.Read(dir)
	if err != nil || held.ID != cart || held.Root(time.Now()) == nil {
		t.Errorf("it holds %+v, %v", held, err)
	}
	// What it got renews itself, whatever happens to the token.
	if _, err := obtain(filepath.Join(dir, "no-such-file"), dir); err != nil {
		t.Errorf("it does not renew: %v", err)
	}

	for name, file := range map[string]string{
		"for the API server":          api.token(t, "shop", "cart"),
		"for another mesh":            api.token(t, "shop", "cart", "spiffe://other.example/ns/shop-system/sa/meshc"),
		"of another account":          api.token(t, "shop", "payment", audience),
		"of another namespace":        api.token(t, "other", "cart", audience),
		"of an account of no member":  api.token(t, "shop", "stranger", audience),
		"of a person":                 written(t, []byte(adminToken)),
		"that is none":                written(t, []byte("eyJhbGciOiJub25lIn0.e30.")),
		"that is empty":               written(t, nil),
		"that is cut":                 cut(t, good),
		"with a line break within it": written(t, []byte("a\r\nb: c")),
	} {
		if got, err := obtain(file, filepath.Join(t.TempDir(), "c")); err == nil {
			t.Errorf("a token %s gets %s", name, got.ID)
		}
	}
	gone := api.token(t, "shop", "cart", audience)
	if code, said := api.do(t, http.MethodDelete, "/api/v1/namespaces/shop/serviceaccounts/cart", nil); code != http.StatusOK {
		t.Fatalf("delete: %d %s", code, said)
	}
	until(t, "the end of the account's tokens", func() bool { _, err := obtain(gone, filepath.Join(t.TempDir(), "c")); return err != nil })

	// Without an API server to ask, nobody is believed.
	review.API.Address = "https://127.0.0.1:" + freePort(t)
	_, err = obtain(good, filepath.Join(t.TempDir(), "c"))
	if err == nil || !strings.Contains(err.Error(), "cannot be reviewed") {
		t.Errorf("without an API server: %v", err)
	}
	if _, err := r.keeper(t, filepath.Join(t.TempDir(), "c"), cart, r.token(t, cart)).Obtain(t.Context()); err != nil {
		t.Errorf("a join token is of no use then: %v", err)
	}
}

func cut(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return written(t, data[:len(data)-4])
}
