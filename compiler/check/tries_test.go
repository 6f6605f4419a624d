package check_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/check"
	"github.com/meshc/meshc/compiler/compiletest"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

const exactTries = `package shop

mesh: {name: "shop", trustDomain: "shop.example"}
services: frontend: {
	workload: deployment: "frontend"
	uses: cart: {timeout: "TIMEOUT", retries: {attempts: 2, perTryTimeout: "500ms"}}
}
services: cart: {
	workload: deployment: "cart"
	ports: http: {port: 8080, protocol: "http"}
	allow: [{from: services: ["frontend"]}]
}
`

// TestTriesThatFitExactly wants tries to fit when they take exactly the timeout, in the finding and in what meshc try
// says; that real Envoys make them all shows TestTriesThatTimeOutAreMadeAgain.
func TestTriesThatFitExactly(t *testing.T) {
	for timeout, fits := range map[string]bool{"1499ms": false, "1.5s": true, "1501ms": true} {
		r := compiletest.Compile(t, t.TempDir(),
			map[string]string{"mesh.cue": strings.Replace(exactTries, "TIMEOUT", timeout, 1)})
		if !fits {
			if len(r.Diagnostics) != 1 || r.Diagnostics[0].Code != diag.TriesDoNotFit {
				t.Errorf("3 tries of 500ms in %s: found %v, want %s", timeout, r.Diagnostics, diag.TriesDoNotFit)
			}
			continue
		}
		if len(r.Diagnostics) > 0 {
			t.Fatalf("3 tries of 500ms in %s: found %v", timeout, r.Diagnostics)
		}
		trial, err := try.Try(r.Mesh, try.Request{
			From: try.Sender{Kind: ir.KindService, Name: "frontend"}, Method: "GET", Scheme: "http", Host: "cart",
			Port: 8080, Path: "/",
		})
		if err != nil {
			t.Fatal(err)
		}
		const want = "when a try takes 500ms: 2 retries, 3 requests at most"
		if !slices.ContainsFunc(trial.Steps, func(s try.Step) bool { return strings.Contains(s.Does, want) }) {
			t.Errorf("meshc try does not say %q: %s", want, fmt.Sprint(trial.Steps))
		}
	}
}

// Instances that call each other multiply the tries of whoever calls them, once.
func TestTriesOfPeers(t *testing.T) {
	const spec = `package shop

mesh: {name: "shop", trustDomain: "shop.example"}
services: app: {
	workload: deployment: "app"
	uses: store: retries: attempts: 2
}
services: store: {
	workload: statefulSet: "store"
	ports: http: {port: 8080, protocol: "http"}
	uses: store: retries: attempts: 3
	allow: [{from: services: ["app", "store"]}]
}
`
	r := compiletest.Compile(t, t.TempDir(), map[string]string{"mesh.cue": spec})
	if len(r.Diagnostics) > 0 {
		t.Fatal(r.Diagnostics)
	}
	chain := check.WorstChains(r.Mesh)["store"]
	if got := chain.String(); chain.Attempts != 12 || got != "app → store (3 tries) → store (4 tries)" {
		t.Errorf("%d attempts by %s", chain.Attempts, got)
	}
}
