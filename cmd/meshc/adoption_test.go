package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/serve"
)

const libraryWorkloads = `
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: library}
spec: {selector: {app: NAME}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, namespace: library}
spec:
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec: {serviceAccountName: NAME, containers: [{name: app, image: app}]}
---
`

// The steps of docs/adoption.md that are changes of the spec: what is written first passes calls and takes callers as
// before, the lines that meshc edges proposes declare the calls, and each step is one that meshc diff explains.
func TestStepsOfAdoption(t *testing.T) {
	t.Setenv("MESHC_CACHE", "off")
	dir := t.TempDir()
	workloads := filepath.Join(dir, "workloads.yaml")
	text := strings.ReplaceAll(libraryWorkloads, "NAME", "desk") + strings.ReplaceAll(libraryWorkloads, "NAME", "shelf")
	if err := os.WriteFile(workloads, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	mesh := filepath.Join(dir, "mesh")
	said(t, exitGood, "import", "kubernetes", "-f", workloads, "--name", "library", "-o", mesh)
	t.Chdir(mesh)
	same(t, said(t, exitGood, "vet"), "")
	calls := func(from string) string {
		return said(t, exitGood, "try", "--from", from, "http://shelf:80/")
	}
	for _, from := range []string{"desk", "outside"} {
		if out := calls(from); !strings.Contains(out, "reaches shelf, port http") {
			t.Errorf("before anything is declared, %s:\n%s", from, out)
		}
	}

	gitOf(t, ".", "init", "-q")
	commit(t)
	shelf := source.Position{File: "services/shelf/service.cue", Line: 3, Column: 11}
	proposed := said(t, exitGood, "edges", "--undeclared", "-o", "cue", "--server", toldBy(t, serve.EdgeReport{
		Now: time.Now(), Window: 900, Undeclared: []serve.UndeclaredCall{{
			Caller: "service desk", CallerSource: source.Position{File: "services/desk/service.cue", Line: 3, Column: 11},
			Address: netip.MustParseAddr("10.96.0.1"), Port: 80, Connections: 3, Callee: "service shelf",
			CalleeSource: shelf, PortName: "http", Listed: true,
		}},
	}))
	use, rule := "services: \"desk\": uses: \"shelf\": {}\n", `{from: services: ["desk"], ports: ["http"]},`
	same(t, proposed, "// services/desk/service.cue\n"+use+"\n// services/shelf/service.cue\n"+
		"// add to the list allow of shelf ("+shelf.String()+")\n// "+rule+"\n")
	change(t, "services/desk/service.cue", "package library\n", "package library\n"+use)
	change(t, "services/shelf/service.cue", "allow: [", "allow: ["+rule+" ")
	same(t, said(t, exitGood, "vet"), "")
	explained(t, "newly-allowed: service desk → service shelf")

	commit(t)
	change(t, "services/desk/service.cue", `proxy: undeclaredCalls: "pass"`, "")
	explained(t, "newly-denied: service desk: proxy.passUndeclared")
	if out := said(t, exitGood, "try", "--from", "desk", "tcp://192.0.2.1:25"); !strings.Contains(out, "closed") {
		t.Errorf("what is not declared:\n%s", out)
	}

	commit(t)
	change(t, "services/shelf/service.cue", ` {from: plaintext: true}`, "")
	change(t, "services/shelf/service.cue", `mtls: "permissive"`, "")
	explained(t, "newly-denied: outside → service shelf")
	if out := calls("desk"); !strings.Contains(out, "reaches shelf, port http") {
		t.Errorf("a member, when strict:\n%s", out)
	}
}

// commit commits all of the working directory, to compare with.
func commit(t *testing.T) {
	t.Helper()
	gitOf(t, ".", "add", "-A")
	gitOf(t, ".", "-c", "user.name=test", "-c", "user.email=test@shop.example", "commit", "-q", "-m", "A step")
}

// change replaces a text of a file that has it.
func change(t *testing.T, file, from, to string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), from) {
		t.Fatalf("%s has no %q:\n%s", file, from, data)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(data), from, to, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// explained wants meshc diff to say that of what has changed since the last step.
func explained(t *testing.T, what string) {
	t.Helper()
	if out := said(t, exitFindings, "diff", "--from", "HEAD"); !strings.Contains(out, what) {
		t.Errorf("meshc diff does not say %q:\n%s", what, out)
	}
}
