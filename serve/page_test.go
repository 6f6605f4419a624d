package serve_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/review/graph"
)

// asked is the answer to a request with headers, of which "host" is the name that is asked.
func asked(t *testing.T, r *running, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.AdminAddr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
		if headers[i] == "host" {
			request.Host = headers[i+1]
		}
	}
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

// TestPageIsForThisHost refuses what a page of another site asks for through a browser on this host, by its own
// requests or by a name that it makes lead here.
func TestPageIsForThisHost(t *testing.T) {
	r := start(t)
	if err := r.SetMesh(compileSpec(t, spec)); err != nil {
		t.Fatal(err)
	}
	port := r.AdminAddr()[strings.LastIndex(r.AdminAddr(), ":"):]
	for _, path := range []string{"/", "/page/scene", "/edges", "/status", "/mesh"} {
		for _, c := range []struct {
			name    string
			headers []string
			want    int
		}{
			{"by address", nil, 200},
			{"by name", []string{"host", "localhost" + port}, 200},
			{"through a forwarded port", []string{"host", "localhost:9999"}, 200},
			{"a name that was made to lead here", []string{"host", "evil.example" + port}, 403},
			{"a name that looks like an address", []string{"host", "127.0.0.1.evil.example" + port}, 403},
			{"a request of another site", []string{"sec-fetch-site", "cross-site", "sec-fetch-mode", "no-cors"}, 403},
			{"another port of this host", []string{"sec-fetch-site", "same-site", "sec-fetch-mode", "cors"}, 403},
			{"with the origin of another", []string{"origin", "http://localhost:3000"}, 403},
			{"with no origin", []string{"origin", "null"}, 403},
			{"in a frame", []string{
				"sec-fetch-site", "cross-site", "sec-fetch-mode", "navigate", "sec-fetch-dest",
				"iframe",
			}, 403},
			{"by a link", []string{
				"sec-fetch-site", "cross-site", "sec-fetch-mode", "navigate", "sec-fetch-dest",
				"document",
			}, 200},
			{"by itself", []string{"sec-fetch-site", "same-origin", "sec-fetch-mode", "cors"}, 200},
		} {
			if answer, body := asked(t, r, path, c.headers...); answer.StatusCode != c.want {
				t.Errorf("%s, %s: %d %s", path, c.name, answer.StatusCode, body)
			}
		}
	}
	answer, body := asked(t, r, "/")
	policy := answer.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; script-src 'sha256-") || strings.Contains(policy, "unsafe") ||
		!strings.Contains(policy, "frame-ancestors 'none'") ||
		answer.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers: %v", answer.Header)
	}
	if !strings.Contains(body, "<title>shop</title>") {
		t.Errorf("the page: %s", body[:200])
	}
	if answer, _ := asked(t, r, "/healthz", "host", "anything"); answer.StatusCode != http.StatusOK {
		t.Errorf("/healthz: %d", answer.StatusCode)
	}
	for _, method := range []string{http.MethodPost, http.MethodDelete} {
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.AdminAddr()+"/page/scene", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", method, answer.StatusCode)
		}
	}
}

// TestScenesHaveWhatProxiesTold draws callers that are not in the mesh, and answers without content where the client
// has the drawing of the graph that there is.
func TestScenesHaveWhatProxiesTold(t *testing.T) {
	r := start(t)
	if answer, _ := asked(t, r, "/page/scene"); answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("without a mesh: %d", answer.StatusCode)
	}
	if err := r.SetMesh(compileSpec(t, spec)); err != nil {
		t.Fatal(err)
	}
	stranger := "spiffe://shop.example/ns/default/sa/stranger"
	s := reporting(t, r.dial(t, "cart", time.Hour))
	m := report("service/cart/a", told(time.Now(), 4, "caller", stranger, "rule", "", "http.response.status_code", "403"))
	*m.EnvoyMetrics[0].Name = "meshc.http.server.failures"
	if err := s.Send(m); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stranger is known", func() bool {
		_, body := asked(t, r, "/edges?window=15m")
		return strings.Contains(body, stranger)
	})
	_, body := asked(t, r, "/page/scene?view=")
	var drawn struct {
		Version string
		Graph   graph.Graph
		Scene   graph.Scene
	}
	if err := json.Unmarshal([]byte(body), &drawn); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	call := drawn.Graph.Edges[len(drawn.Graph.Edges)-1]
	if call.From != stranger || call.To != "service cart" || !call.Undeclared {
		t.Errorf("the call is %+v", call)
	}
	if len(drawn.Scene.Boxes) != len(drawn.Graph.Nodes) || len(drawn.Scene.Lines) != len(drawn.Graph.Edges) {
		t.Errorf("%d boxes and %d lines are drawn", len(drawn.Scene.Boxes), len(drawn.Scene.Lines))
	}
	if answer, _ := asked(t, r, "/page/scene?view=&have="+drawn.Version); answer.StatusCode != http.StatusNoContent {
		t.Errorf("the same again: %d", answer.StatusCode)
	}
	if answer, _ := asked(t, r, "/page/scene?view=service+nobody"); answer.StatusCode != http.StatusNotFound {
		t.Errorf("a view of nobody: %d", answer.StatusCode)
	}
}
