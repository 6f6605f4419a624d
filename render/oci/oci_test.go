package oci

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/oci"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// registryAt starts a registry.
func registryAt(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func output(t *testing.T, at time.Time) string {
	t.Helper()
	dir := t.TempDir()
	for path, data := range map[string]string{"mesh.json": "{}", "kubernetes/shop/cart.yaml": "a: 1\n"} {
		file := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// One commit makes one digest, wherever and whenever it is pushed, and Flux's own client
// reads what was pushed.
func TestPushIsReproducible(t *testing.T) {
	a := Artifact{Source: "https://git.example/shop", Revision: "main@sha1:abc", Created: time.Date(2026, 1, 2, 3, 4, 5,
		0, time.FixedZone("", 3600))}
	var digests []string
	for i, at := range []time.Time{time.Unix(1, 0), time.Unix(1e9, 0)} {
		a.Dir = output(t, at)
		pushed, err := Push(t.Context(), registryAt(t)+"/team/shop:v1", a)
		if err != nil {
			t.Fatal(err)
		}
		_, digest, _ := strings.Cut(pushed, "@")
		digests = append(digests, digest)
		if i > 0 {
			continue
		}
		into := t.TempDir()
		said, err := oci.NewClient(oci.DefaultOptions()).Pull(t.Context(), pushed, into)
		if err != nil {
			t.Fatal(err)
		}
		if said.Revision != a.Revision || said.Source != a.Source || said.Created != "2026-01-02T02:04:05Z" {
			t.Errorf("Flux reads %+v", said)
		}
		if data, err := os.ReadFile(filepath.Join(into, "kubernetes/shop/cart.yaml")); err != nil ||
			string(data) != "a: 1\n" {
			t.Errorf("%q, %v", data, err)
		}
	}
	if digests[0] != digests[1] {
		t.Errorf("the digests are %v", digests)
	}
}

func TestPushRefuses(t *testing.T) {
	a := Artifact{Dir: t.TempDir()}
	if _, err := Push(t.Context(), "registry.example/shop:v1", a); err == nil ||
		!strings.Contains(err.Error(), "not what meshc compile writes") {
		t.Errorf("a foreign directory: %v", err)
	}
	a.Dir = output(t, time.Unix(1, 0))
	if _, err := Push(t.Context(), "registry.example/UPPER:v1", a); err == nil {
		t.Error("a bad reference was taken")
	}
}

func TestSign(t *testing.T) {
	pushed, err := Push(t.Context(), registryAt(t)+"/shop:v1", Artifact{Dir: output(t, time.Unix(1, 0))})
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ParseKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	if err := Sign(t.Context(), pushed, signer); err != nil {
		t.Fatal(err)
	}
	repository, digest, _ := strings.Cut(pushed, "@sha256:")
	tag, err := name.NewTag(repository + ":sha256-" + digest + ".sig")
	if err != nil {
		t.Fatal(err)
	}
	image, err := remote.Image(tag)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := image.Manifest()
	if err != nil || len(manifest.Layers) != 1 {
		t.Fatalf("%+v, %v", manifest, err)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	content, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	payload, err := io.ReadAll(content)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := base64.StdEncoding.DecodeString(manifest.Layers[0].Annotations[signatureAnnotation])
	if sum := sha256.Sum256(payload); err != nil || !ecdsa.VerifyASN1(&key.PublicKey, sum[:], signature) {
		t.Errorf("the signature is not one of %s", payload)
	}
	var said struct {
		Critical struct {
			Image map[string]string `json:"image"`
		} `json:"critical"`
	}
	if err := json.Unmarshal(payload, &said); err != nil ||
		said.Critical.Image["docker-manifest-digest"] != "sha256:"+digest {
		t.Errorf("what is signed is %s", payload)
	}
	for _, wrong := range []string{
		"",
		"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n",
	} {
		if _, err := ParseKey([]byte(wrong)); err == nil {
			t.Errorf("%q was taken for a key", wrong)
		}
	}
}
