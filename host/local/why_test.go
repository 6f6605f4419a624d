package local

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshc/meshc/review/logs"
	reasons "github.com/meshc/meshc/review/why"
)

// serverHTTP is the kind of the line that a callee's proxy logs.
const serverHTTP = "http.server"

// TestWhyNamesWhatDecided sends random requests through real Envoys, and explains each line that these log: the step
// that decided is at the place in the spec that the proxy itself names in the line, as its route or its rule. Of what
// the callee refused, the caller's proxy names the route, and the callee's line what decided.
func TestWhyNamesWhatDecided(t *testing.T) {
	mesh := replayedMesh(t, `allow: [
			{from: {services: ["client"], gateways: ["edge"]}, paths: ["/", "/a/*", "/b", "/moved/*", "/c%20d"]},
			{from: services: ["guest"], methods: ["GET"], paths: ["/a/*"]},
			{from: services: ["client"], paths: ["/role/now"], headers: "x-role": exact: "admin"}]
		deny: [{name: "no posts", from: services: ["client"], methods: ["POST"], paths: ["/b"]}]`,
		`routes: [{name: "a", match: path: prefix: "/a/", to: [{service: "server", version: "v2"}]}]`,
		`{name: "moved", match: {host: "shop.example", path: prefix: "/moved/"}, to: [{service: "other", port: "http"}]},`)
	m := start(t, mesh)
	r := rand.New(rand.NewPCG(3, 4))
	lines := 0
	for range 150 {
		q := randomReplayed(r)
		q.sentTo(t, m)
		if lines++; q.from != "edge" || q.host == "shop.example" {
			lines++ // at the callee
		}
	}
	of := map[string]int{}
	for _, line := range allLogged(t, m, lines) {
		reason, err := reasons.Explain(mesh, line)
		if err != nil {
			t.Fatalf("%+v: %v", line, err)
		}
		if !reason.Agrees {
			t.Errorf("%+v ends as %s", line, reason.Trial.Outcome())
		}
		step := reason.Trial.Steps[reason.Decided]
		switch _, rule, _ := strings.Cut(line.Rule, " mesh.cue"); {
		case line.Kind == serverHTTP && rule != "":
			of["rule"]++
			if got := step.Pos.String(); got != "mesh.cue"+rule {
				t.Errorf("%s %s was decided by %s, and not at %s: %+v", line.Method, line.Path, line.Rule, got, step)
			}
		case line.Kind == serverHTTP:
			of["no rule"]++
			if !strings.Contains(step.Does, "no rule") && !strings.Contains(step.Does, "denies") {
				t.Errorf("%s %s was allowed by no rule: %+v", line.Method, line.Path, step)
			}
		case reason.Trial.Allowed() && line.Route != "(rest)":
			of["route"]++
			if got := step.Pos.String(); got != line.Source {
				t.Errorf("%s %s went by %s at %s, and not %s: %+v", line.Method, line.Path, line.Route, line.Source, got, step)
			}
		default:
			of["otherwise"]++
		}
	}
	for _, what := range []string{"rule", "no rule", "route", "otherwise"} {
		if of[what] < 10 {
			t.Errorf("%d lines were decided by %s", of[what], what)
		}
	}
}

// allLogged waits for that many lines of requests, and reads them.
func allLogged(t *testing.T, m *Mesh, lines int) (out []*logs.Line) {
	t.Helper()
	eventuallyRight(t, func() string {
		out = nil
		for _, p := range m.sortedProxies() {
			data, err := os.ReadFile(filepath.Join(m.Directory(), filepath.FromSlash(p.id), "envoy.log"))
			if err != nil {
				t.Fatal(err)
			}
			for text := range strings.Lines(string(data)) {
				if line, known := logs.Parse(text); known && line.Kind != "" {
					out = append(out, line)
				}
			}
		}
		if len(out) < lines {
			return fmt.Sprintf("%d lines of %d are written", len(out), lines)
		}
		return ""
	})
	return out
}
