package apiserver_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/meshc/meshc/identity/apiserver"
)

var _ apiserver.Client = (*fake.Clientset)(nil)

// written is a file with the data.
func written(t *testing.T, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// start is an API server, and how it is reached with the token "mine".
func start(t *testing.T, handler http.HandlerFunc) apiserver.API {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	roots := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return apiserver.API{Address: server.URL, TokenFile: written(t, []byte("mine\n")), CAFile: written(t, roots)}
}

// TestClient asks with the pod's token, and says who asks.
func TestClient(t *testing.T) {
	api := start(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization") + " " + r.Header.Get("User-Agent"); got != "Bearer mine meshc-test" {
			t.Errorf("it asks as %q", got)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(
			`{"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "mesh"}, "data": {"path": "` + r.URL.Path +
				`"}}`))
	})
	client, err := api.Client("meshc-test")
	if err != nil {
		t.Fatal(err)
	}
	config, err := client.CoreV1().ConfigMaps("shop").Get(t.Context(), "mesh", metav1.GetOptions{})
	if err != nil || config.Data["path"] != "/api/v1/namespaces/shop/configmaps/mesh" {
		t.Errorf("it gets %v, %v", config, err)
	}
}

// TestClientFollowsNoRedirect: the token is for the API server and nobody else.
func TestClientFollowsNoRedirect(t *testing.T) {
	other := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("another server is asked, with the token %q", r.Header.Get("Authorization"))
	}))
	t.Cleanup(other.Close)
	api := start(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
	})
	roots, err := os.ReadFile(api.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	// Both have certificates that are trusted.
	roots = append(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Certificate().Raw})...)
	if err := os.WriteFile(api.CAFile, roots, 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := api.Client("meshc-test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().Secrets("shop").Get(t.Context(), "authority", metav1.GetOptions{}); err == nil {
		t.Error("a redirect is an answer")
	}
}

// TestClientNeedsRoots asks no server that it cannot know, not even one that the system trusts.
func TestClientNeedsRoots(t *testing.T) {
	api := start(t, func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("it asks, with the token %q", r.Header.Get("Authorization"))
	})
	for name, file := range map[string]string{
		"no file": filepath.Join(t.TempDir(), "none"), "no roots": written(t, []byte("none")),
		"an empty file": written(t, nil),
	} {
		api.CAFile = file
		client, err := api.Client("meshc-test")
		if err != nil {
			continue
		}
		if _, err := client.CoreV1().Secrets("shop").Get(t.Context(), "authority", metav1.GetOptions{}); err == nil {
			t.Errorf("%s: it has an answer", name)
		}
	}
}
