//go:build e2e

package enroll_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/meshc/meshc/compiler/compiletest"
	"github.com/meshc/meshc/identity/apiserver"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/identity/tokenreview"
	"github.com/meshc/meshc/review/graph/browsertest"
	"github.com/meshc/meshc/serve"
)

const operatedMesh = `package shop
mesh: {
	name: "shop", trustDomain: "shop.example"
	operators: kubernetes: {users: ["admin"], groups: ["system:serviceaccounts:ops"]}
}
services: cart: {workload: deployment: "cart", ports: http: {port: 80, protocol: "http"}, allow: [{from: services: ["web"]}]}
services: web: {workload: deployment: "web", uses: cart: {}}
`

// operated is a server that asks an API server for operators, with a mesh.
func operated(t *testing.T, api *apiServer) (s *serve.Server, audience string) {
	t.Helper()
	for _, namespace := range []string{"ops", "shop", "shop-system"} {
		api.create(t, "/api/v1/namespaces", map[string]any{"metadata": map[string]any{"name": namespace}})
	}
	for _, account := range [][2]string{{"ops", "oncall"}, {"shop", "cart"}, {"shop-system", "meshc"}} {
		api.account(t, account[0], account[1])
	}
	api.create(t, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", map[string]any{
		"metadata": map[string]any{"name": "meshc"},
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator"},
		"subjects": []any{map[string]any{"kind": "ServiceAccount", "namespace": "shop-system", "name": "meshc"}},
	})
	authority, err := ca.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	own := api.token(t, "shop-system", "meshc")
	s, err = serve.New(serve.Config{
		Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", OperatorsListen: "127.0.0.1:0", Authority: authority,
		TokenReview: &tokenreview.Reviewer{API: apiserver.API{Address: api.url, TokenFile: own, CAFile: api.caFile}},
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	result := compiletest.Compile(t, t.TempDir(), map[string]string{"mesh.cue": operatedMesh})
	if result.Mesh == nil {
		t.Fatal(result.Diagnostics)
	}
	if err := s.SetMesh(result.Mesh); err != nil {
		t.Fatal(err)
	}
	return s, result.Mesh.ServerIdentity().String()
}

// TestOperatorsOfKubernetes has a real API server say who sees the live page, by groups of service accounts and by the
// name of a person, and a real browser log in.
func TestOperatorsOfKubernetes(t *testing.T) {
	api := startAPIServer(t)
	s, audience := operated(t, api)
	own := api.token(t, "shop-system", "meshc")
	text := func(file string) string {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	oncall := text(api.token(t, "ops", "oncall", audience))
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
	}}
	see := func(token string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.OperatorsAddr()+"/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(body)
	}
	until(t, "the operator's token is taken", func() bool { code, _ := see(oncall); return code == http.StatusOK })
	for name, c := range map[string]struct {
		token string
		want  int
	}{
		"of a person":                 {adminToken, 200},
		"of a group":                  {text(api.token(t, "ops", "oncall")), 200},
		"of another namespace":        {text(api.token(t, "shop", "cart", audience)), 403},
		"for another mesh":            {text(api.token(t, "ops", "oncall", "spiffe://other.example/ns/shop-system/sa/meshc")), 401},
		"that is cut":                 {text(cut(t, written(t, []byte(oncall)))), 401},
		"of nobody, with no review":   {"", 401},
		"that nobody has made":        {"eyJhbGciOiJub25lIn0.e30.", 401},
		"of the server's own account": {text(own), 403},
	} {
		if code, body := see(c.token); code != c.want {
			t.Errorf("a token %s: %d %s", name, code, body)
		}
	}

	w := browsertest.Open(t, 1000, 700, chromedp.Flag("ignore-certificate-errors", true))
	w.Do(chromedp.Navigate("https://"+s.OperatorsAddr()+"/"), chromedp.WaitVisible(chromedp.CSS(`textarea`)))
	w.Picture("login.png")
	enter := func(token string) {
		w.Read(`document.querySelector("textarea").value = "` + token + `"`)
		w.Read(`document.querySelector("button").click()`)
	}
	enter("x")
	w.Do(chromedp.WaitVisible(chromedp.CSS(`p.wrong`)))
	if said := w.Read(`document.querySelector("p.wrong").innerText`); !strings.HasPrefix(said, "the token is not valid here") {
		t.Errorf("the page says %q", said)
	}
	enter(oncall)
	w.Do(chromedp.WaitVisible(chromedp.CSS(`.node`)))
	if kept := w.Read(`document.cookie`); kept != "" {
		t.Errorf("scripts read the cookie %s", kept)
	}
	if code, said := api.do(t, http.MethodDelete, "/api/v1/namespaces/ops/serviceaccounts/oncall", nil); code != http.StatusOK {
		t.Fatalf("delete: %d %s", code, said)
	}
	until(t, "the end of the account's tokens", func() bool {
		code, body := see(oncall)
		return code == http.StatusUnauthorized && !strings.Contains(body, "ops")
	})
}
