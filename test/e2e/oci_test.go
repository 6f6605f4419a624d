//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sources "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-containerregistry/pkg/registry"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
)

// keyPair writes a key that signs, and returns its public half.
func keyPair(t *testing.T, file string) (public []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}),
		0o600); err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// What meshc push puts into a registry Flux reads, and takes only if it is signed with
// the key that it trusts.
func TestPush(t *testing.T) {
	l, err := net.Listen("tcp", variable(t, "E2E_MACHINE")+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler:           registry.New(registry.Logger(log.New(io.Discard, "", 0))),
		ReadHeaderTimeout: time.Minute,
	}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	reference := fmt.Sprintf("oci://%s/team/stall", l.Addr())

	dir := newMesh(t, strings.Replace(stall, "	certificates:",
		fmt.Sprintf("	flux: {url: %q, tag: \"prod\", interval: \"2s\", verify: secret: \"stall-keys\"}\n	certificates:", reference), 1))
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"add", "--all"},
		{"-c", "user.name=e2e", "-c", "user.email=e2e@stall.example", "commit", "--quiet", "-m", "The stall"},
	} {
		if _, err := command(t, "", dir, "git", args...); err != nil {
			t.Fatal(err)
		}
	}
	commit, err := command(t, "", dir, "git", "rev-parse", "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	keys := t.TempDir()
	public, foreign := keyPair(t, filepath.Join(keys, "ours")), filepath.Join(keys, "foreign")
	keyPair(t, foreign)
	indented := strings.ReplaceAll(strings.TrimSpace(string(public)), "\n", "\n    ")
	apply(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: stall-keys, namespace: flux-system}\nstringData:\n  ours.pub: |\n    "+indented+"\n")
	artifact := func() (ready, message, revision string) {
		var o sources.OCIRepository
		get(t, &o, "ocirepository", "stall", "-n", "flux-system")
		if c := apimeta.FindStatusCondition(o.Status.Conditions, "Ready"); c != nil {
			ready, message = string(c.Status), c.Message
		}
		if o.Status.Artifact != nil {
			revision = o.Status.Artifact.Revision
			if source := o.Status.Artifact.Metadata["org.opencontainers.image.revision"]; source != "main@sha1:"+
				strings.TrimSpace(commit) {
				t.Errorf("its revision is %q", source)
			}
		}
		return ready, message, revision
	}
	push := func(key string) string {
		out, err := meshc(t, dir, "push", reference+":prod", "out", "--sign-key", key)
		if err != nil {
			t.Fatal(err)
		}
		_, digest, _ := strings.Cut(strings.TrimSpace(out), "@")
		return digest
	}
	first := push(foreign)
	source, err := os.ReadFile(filepath.Join(dir, "out/flux/source.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	apply(t, string(source))
	eventually(t, time.Minute, func() string {
		if ready, message, revision := artifact(); ready != "False" || !strings.Contains(message, "verif") ||
			revision != "" {
			return fmt.Sprint("signed with another key: ", ready, " ", message, " ", revision)
		}
		return ""
	})
	if second := push(filepath.Join(keys, "ours")); second != first {
		t.Errorf("one commit has the digests %s and %s", first, second)
	}
	eventually(t, time.Minute, func() string {
		if ready, message, revision := artifact(); ready != "True" || revision != "prod@"+first {
			return fmt.Sprint("signed with our key: ", ready, " ", message, " ", revision)
		}
		return ""
	})
}
