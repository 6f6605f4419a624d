//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// variable is one that test/e2e/run sets.
func variable(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: run make e2e", name)
	}
	return value
}

// command runs a program to its end.
func command(t *testing.T, stdin, dir, name string, args ...string) (stdout string, err error) {
	t.Helper()
	c := exec.CommandContext(t.Context(), name, args...)
	c.Dir, c.Stdin = dir, strings.NewReader(stdin)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s%s", name, strings.Join(args, " "), err, out.String(),
			errs.String())
	}
	return out.String(), nil
}

// kubectl must succeed.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := command(t, "", "", "kubectl", args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// apply applies manifests, and has them deleted after the test.
func apply(t *testing.T, manifests string) {
	t.Helper()
	if _, err := command(t, manifests, "", "kubectl", "apply", "--server-side", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c := exec.Command("kubectl", "delete", "--ignore-not-found", "--wait=false", "-f", "-")
		c.Stdin = strings.NewReader(manifests)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("kubectl delete: %v: %s", err, out)
		}
	})
}

// get reads an object.
func get(t *testing.T, into any, args ...string) {
	t.Helper()
	if err := json.Unmarshal([]byte(kubectl(t, append([]string{"get", "-o", "json"}, args...)...)), into); err != nil {
		t.Fatal(err)
	}
}

// nodePort is where a service of the kind NodePort is reached from here ("HOST:PORT"): by its first port, which it has
// on every node.
func nodePort(t *testing.T, service, namespace string) string {
	t.Helper()
	node := kubectl(t, "get", "nodes", "-o", `jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}`)
	return node + ":" + kubectl(t, "get", "service", service, "-n", namespace, "-o",
		"jsonpath={.spec.ports[0].nodePort}")
}

// tidyAfter has kubectl run commands after the test, and tells what they say if it failed.
func tidyAfter(t *testing.T, commands ...[]string) {
	t.Helper()
	t.Cleanup(func() {
		for _, args := range commands {
			if out, err := commandAfter("kubectl", args...); err != nil || t.Failed() {
				t.Logf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
			}
		}
	})
}

// eventually waits until what is wanted is so. Wrong says what is not yet so, or "".
func eventually(t *testing.T, patience time.Duration, wrong func() string) {
	t.Helper()
	var last string
	for deadline := time.Now().Add(patience); ; {
		if last = wrong(); last == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %s", patience, last)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// meshc runs the program that is tested.
func meshc(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	return command(t, "", dir, variable(t, "E2E_MESHC"), args...)
}

// images are the references by digest of the images under test, by their names.
func images(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, reference := range strings.Fields(variable(t, "E2E_IMAGES")) {
		name, _, _ := strings.Cut(filepath.Base(reference), ":")
		out[name] = reference
	}
	return out
}

// dump prints what helps when a test failed.
func dump(t *testing.T) {
	if !t.Failed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, args := range [][]string{
		{"get", "pods", "-A", "-o", "wide"},
		{"get", "kustomizations,gitrepositories", "-A"},
		{"get", "configmap", "mesh-rollout", "-n", "shop-system", "-o", "jsonpath={.data}"},
		{"get", "events", "-n", "shop", "--sort-by=.lastTimestamp"},
		{"logs", "-n", "shop-system", "-l", "app.kubernetes.io/name=meshc", "--tail=40"},
	} {
		out, _ := exec.CommandContext(ctx, "kubectl", args...).CombinedOutput()
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		t.Logf("kubectl %s\n%s", strings.Join(args, " "), strings.Join(lines[max(0, len(lines)-40):], "\n"))
	}
}

// commandAfter runs a program when the test's own context is over.
func commandAfter(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return string(out), err
}
