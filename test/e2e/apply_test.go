//go:build e2e

package e2e

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const stall = `package stall

mesh: {
	name: "stall"
	trustDomain: "stall.example"
	certificates: issuer: {kind: "ClusterIssuer", name: "mesh-ca"}
	images: {meshc: string @tag(meshc), envoy: string @tag(envoy)}
}
services: [string]: {namespace: "stall", createService: true}
services: {
	fruit: {
		workload: deployment: "fruit"
		ports: http: {port: 80, target: 8080, protocol: "http"}
		allow: [{from: services: ["crate"]}]
	}
	crate: {workload: deployment: "crate", uses: fruit: {}}
}
`

// newMesh writes a mesh of one file and compiles it into the directory out beside.
func newMesh(t *testing.T, text string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "cue.mod"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cue.mod/module.cue"),
		[]byte("module: \"stall.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	compileMesh(t, dir, text)
	return dir
}

func compileMesh(t *testing.T, dir, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "mesh.cue"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	known := images(t)
	if _, err := meshc(t, dir, "compile", "-o", "out", "-t", "meshc="+known["meshc"], "-t",
		"envoy="+known["envoy"]); err != nil {
		t.Fatal(err)
	}
}

// What meshc apply makes is what kubectl apply -k makes; it can be interrupted, run
// again, and takes out what it applied and nothing else.
func TestApply(t *testing.T) {
	t.Cleanup(func() {
		dump(t)
		if out, err := commandAfter("kubectl", "delete", "namespace", "stall", "stall-system", "--ignore-not-found",
			"--timeout=2m"); err != nil {
			t.Error(out)
		}
		if out, err := commandAfter("kubectl", "delete", "configmap", "meshc-inventory.stall", "-n", "default",
			"--ignore-not-found"); err != nil {
			t.Error(out)
		}
	})
	dir := newMesh(t, stall)
	applyIsInterrupted(t, dir)
	applyIsWhatKubectlDoes(t, dir)
	applyLeavesOthersAlone(t, dir)
	applyKeepsWhatWasThere(t, dir)

	// Nothing is there to be waited for when the cluster is not.
	if _, err := meshc(t, dir, "apply", "out", "--kubeconfig", "nosuch"); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a cluster: %v", err)
	}
}

// says wants each of the texts in what was said.
func says(t *testing.T, who, said string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(said, want) {
			t.Errorf("%s does not say %q:\n%s", who, want, said)
		}
	}
}

// applyIsInterrupted ends meshc apply in between: the certificates take a while.
func applyIsInterrupted(t *testing.T, dir string) {
	t.Helper()
	program := variable(t, "E2E_MESHC")
	ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
	defer cancel()
	interrupted := exec.CommandContext(ctx, program, "apply", "out")
	interrupted.Dir, interrupted.Cancel = dir, func() error { return interrupted.Process.Signal(os.Interrupt) }
	if out, err := interrupted.CombinedOutput(); err == nil {
		t.Fatalf("it was not interrupted: %s", out)
	}
}

// applyIsWhatKubectlDoes applies the mesh: kubectl would change nothing then, nor does the second time, and meshc diff
// tells of nothing.
func applyIsWhatKubectlDoes(t *testing.T, dir string) {
	t.Helper()
	said, err := meshc(t, dir, "apply", "out")
	if err != nil {
		t.Fatal(err)
	}
	says(t, "it", said, "Certificate/stall/fruit ", "Deployment/stall-system/meshc ",
		"NetworkPolicy/stall/crate.mesh ", "every proxy that is connected has the mesh")
	if _, err := command(t, "", dir, "kubectl", "diff", "--server-side", "--force-conflicts", "-k", "out"); err != nil {
		t.Errorf("kubectl would change something: %v", err)
	}
	said, err = meshc(t, dir, "apply", "out")
	if err != nil || strings.Contains(said, "created") || strings.Contains(said, "configured") {
		t.Errorf("the second time: %v\n%s", err, said)
	}
	if said, err := meshc(t, dir, "diff", "--cluster"); err != nil || said != "" {
		t.Errorf("a cluster that has just been applied to differs: %v\n%s", err, said)
	}
}

// applyLeavesOthersAlone renames a service where somebody else's object is beside, Flux took one over, and one is
// changed: meshc diff tells what meshc apply then does, and neither is about what is somebody else's.
func applyLeavesOthersAlone(t *testing.T, dir string) {
	t.Helper()
	apply(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: theirs, namespace: stall, labels: {app.kubernetes.io/managed-by: meshc}}\n")
	apply(t, "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: box, namespace: stall, labels: {app.kubernetes.io/managed-by: meshc, app.kubernetes.io/part-of: stall}}\n")
	kubectl(t, "label", "serviceaccount", "crate", "-n", "stall", "kustomize.toolkit.fluxcd.io/name=theirs")
	kubectl(t, "patch", "service", "fruit", "-n", "stall", "--type=merge", "-p",
		`{"spec":{"ports":[{"name":"other","port":80,"targetPort":8080}]}}`)
	compileMesh(t, dir, strings.NewReplacer("crate", "box").Replace(stall))
	said, err := meshc(t, dir, "diff", "--cluster", "out")
	if err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("a cluster that differs: %v", err)
	}
	says(t, "diff", said, "missing NetworkPolicy/stall/box.mesh\n", "gone NetworkPolicy/stall/crate.mesh\n",
		"changed Service/stall/fruit\n",
		"    /spec/ports/0/name: \"other\" in the cluster, \"http\" in the mesh\n",
		"member: service box\n")
	if strings.Contains(said, "theirs") || strings.Contains(said, "ServiceAccount/stall/crate") {
		t.Errorf("what is somebody else's is a difference:\n%s", said)
	}
	said, err = meshc(t, dir, "apply", "out")
	if err != nil {
		t.Fatal(err)
	}
	says(t, "it", said, "NetworkPolicy/stall/crate.mesh deleted", "Certificate/stall/crate deleted",
		"ServiceAccount/stall/crate is somebody else's", "ServiceAccount/stall/box was not made by meshc",
		"Service/stall/fruit configured")
	kubectl(t, "get", "configmap/theirs", "serviceaccount/crate", "networkpolicy/box.mesh", "-n", "stall")
	if strings.Count(said, "/crate deleted")+strings.Count(said, "/crate.envoy deleted")+
		strings.Count(said, "/crate.mesh deleted") != 4 {
		t.Errorf("not the four objects of crate are deleted:\n%s", said)
	}
}

// applyKeepsWhatWasThere renames the service back: what was there before meshc stays when the mesh has it no more.
func applyKeepsWhatWasThere(t *testing.T, dir string) {
	t.Helper()
	compileMesh(t, dir, stall)
	said, err := meshc(t, dir, "apply", "out")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said, "ServiceAccount/stall/box is not known to be made by meshc, and stays") ||
		strings.Count(said, "/box deleted")+strings.Count(said, "/box.envoy deleted")+
			strings.Count(said, "/box.mesh deleted") != 4 {
		t.Errorf("it says:\n%s", said)
	}
	kubectl(t, "get", "serviceaccount/box", "-n", "stall")
}
