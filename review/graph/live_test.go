//go:build e2e

package graph_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/review/graph"
	"github.com/meshc/meshc/review/graph/browsertest"
	"github.com/meshc/meshc/serve"
	"github.com/meshc/meshc/serve/telemetry"
)

// told is a server that tells of a graph: one call in ten is denied, one fails, one has no traffic, one is not known.
type told struct {
	*httptest.Server
	graph  *graph.Graph
	status serve.Report
	// hung is set while the server does not answer.
	hung atomic.Bool
}

func tells(t *testing.T, g *graph.Graph) *told {
	t.Helper()
	s := &told{graph: g, status: serve.Report{Mesh: g.Mesh, Proxies: []serve.Proxy{}, Loaded: time.Now()}}
	for _, n := range g.Nodes {
		if n.Kind == "service" || n.Kind == "gateway" {
			s.status.Proxies = append(s.status.Proxies, serve.Proxy{
				Node:      n.Kind + "/" + n.Name + "/a",
				Connected: true,
			})
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", graph.LivePolicy())
		_ = graph.LivePage(w, g.Mesh)
	})
	mux.HandleFunc("GET /favicon.ico",
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /edges", func(w http.ResponseWriter, r *http.Request) {
		if s.hung.Load() {
			panic(http.ErrAbortHandler)
		}
		_ = json.NewEncoder(w).Encode(s.edges(r.URL.Query().Get("window")))
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(s.status)
	})
	mux.HandleFunc("GET /page/scene", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("have") == "1" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		scene, err := g.Scene(r.URL.Query().Get("view"), graph.LiveRoom)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"version": "1", "graph": g, "groups": g.Groups(), "scene": scene})
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *told) edges(window string) serve.EdgeReport {
	length, _ := time.ParseDuration(window)
	out := serve.EdgeReport{Mesh: s.graph.Mesh, Now: time.Now(), Since: time.Now().
		Add(-time.Hour), Window: length.Seconds()}
	for i, call := range s.graph.Edges {
		e := serve.Edge{
			Caller: call.From, Callee: call.To, Port: 80, PortName: "http", Declared: true, Reports: i%10 != 4,
			Uses: source.Position{File: "mesh.cue", Line: i + 1, Column: 1},
		}
		stats := telemetry.Stats{Requests: 1234, PerSecond: 20.6, Latency: telemetry.Latency{
			Samples: 1234, P50: 11,
			P95: 345, P99: 999,
		}}
		switch i % 10 {
		case 1:
			stats.Errors = 345
		case 2:
			e.Server = &telemetry.End{Stats: telemetry.Stats{Requests: 40, Denied: 12345}}
		}
		if i%10 != 3 && i%10 != 4 {
			e.Client = &telemetry.End{
				Stats: stats,
				Lines: []telemetry.Line{{Name: hostile, Source: "mesh.cue:7:3", Requests: 1234}},
			}
		}
		out.Edges = append(out.Edges, e)
	}
	return out
}

// TestLivePage draws meshes of 7, 60 and 500 services with numbers on their lines, and looks at them as it does at
// those without. The page asks nobody but its server, and nothing that a name says runs.
func TestLivePage(t *testing.T) {
	for _, size := range []struct{ services, namespaces int }{{7, 1}, {60, 5}, {500, 14}} {
		t.Run(fmt.Sprint(size.services), func(t *testing.T) {
			s := tells(t, meshOf(size.services, size.namespaces))
			w := browsertest.Open(t, 1440, 900)
			w.Do(chromedp.Navigate(s.URL), chromedp.WaitVisible(css(`.node`)))
			w.Until(`document.getElementById("age").textContent.startsWith("live")`)
			for i, view := range s.graph.Views() {
				if i > 4 && i%(1+size.services/4) != 0 {
					continue
				}
				w.Do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`location.hash = "#view=" + encodeURIComponent(%q)`,
					view)))
				w.Until(fmt.Sprintf(`scene.view === %q`, view))
				if faults := w.Faults(); faults != "" {
					t.Errorf("view %q: %s", view, faults)
				}
				if i < 4 {
					w.Picture(fmt.Sprintf("live-%d-%d.png", size.services, i))
				}
			}
			if ran := w.Read("window.hostile"); ran != "undefined" {
				t.Errorf("a name ran: %s", ran)
			}
			w.Quiet(s.URL)
		})
	}
}

// TestLinesSayTheirState wants each state of an edge in words and not by its colour alone, and edges without traffic on
// the drawing: none is left out.
func TestLinesSayTheirState(t *testing.T) {
	s := tells(t, meshOf(7, 1))
	w := browsertest.Open(t, 1440, 900)
	w.Do(chromedp.Navigate(s.URL), chromedp.WaitVisible(css(`.node`)))
	w.Until(`document.querySelectorAll("#graph .call").length === ` + fmt.Sprint(len(s.graph.Edges)))
	for i, want := range []string{
		"busy 20.6/s · 0% · 345ms", "failing ! 20.6/s · 28% · 345ms", "denied 20.6/s · ⊘ 12k denied",
		"silent no traffic",
		"unknown not known",
	} {
		e := s.graph.Edges[i]
		got := w.Read(fmt.Sprintf(
			`(g => g.getAttribute("class").replace("call ", "") + " " + g.querySelector("text").textContent)`+
				`(document.querySelector('.call[data-from="%s"][data-to="%s"]'))`, e.From, e.To))
		if got != want {
			t.Errorf("%s → %s: %q, want %q", e.From, e.To, got, want)
		}
	}
	// A click shows the numbers, and the route with its line; what it is called stays text.
	w.Do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.querySelector('.call[data-from="%s"][data-to="%s"]')`+
		`.dispatchEvent(new MouseEvent("click"))`, s.graph.Edges[0].From, s.graph.Edges[0].To)))
	holds(w, t, "requests1234", "per second20.6", "11ms, 345ms, 999ms", hostile, "mesh.cue:7:3")
	w.Picture("live-panel.png")
	w.Do(chromedp.Evaluate[chromedp.Void](`(w => { w.value = "15m"; w.dispatchEvent(new Event("change")); })(document.getElementById("window"))`))
	w.Until(`numbers.report.window === 900 && location.hash.includes("15m")`)
	w.Quiet(s.URL)
}

// TestNewsOnThePage tells of a change on its way, of proxies that are behind, refuse, or are away, and of a mesh on
// disk that is wrong.
func TestNewsOnThePage(t *testing.T) {
	s := tells(t, meshOf(7, 1))
	s.status.Ahead, s.status.Failure = 2, "mesh.cue:3:1: wrong"
	s.status.Proxies[1].Types = []serve.TypeStatus{{Type: "LDS", State: serve.StateBehind}}
	s.status.Proxies[2].Types = []serve.TypeStatus{{Type: "RDS", State: serve.StateRefused, Refusals: []serve.Refusal{
		{Type: "RDS", Resource: "outbound", Reason: hostile, Source: source.Position{
			File: "mesh.cue", Line: 9,
			Column: 2,
		}},
	}}}
	s.status.Proxies[3].Connected = false
	w := browsertest.Open(t, 1440, 900)
	w.Do(chromedp.Navigate(s.URL), chromedp.WaitVisible(css(`.node.bad`)), chromedp.WaitVisible(css(`.node.warn`)))
	news := w.Read(`document.getElementById("news").textContent`)
	for _, want := range []string{
		"mesh.cue:3:1: wrong", "6 of 7 proxies have it, and 2 stages to come",
		"Behind: service cart", "Refused by service checkout", "Not connected: service payments",
	} {
		if !strings.Contains(news, want) {
			t.Errorf("no %q in %s", want, news)
		}
	}
	w.Do(chromedp.Evaluate[chromedp.Void](`select("service checkout")`))
	holds(w, t, "refused", hostile, "mesh.cue:9:2")
	if faults := w.Faults(); faults != "" {
		t.Error(faults)
	}
	w.Picture("live-news.png")
	w.Quiet(s.URL)
}

// TestOldNumbersAreMarked says so when the server is gone, and that they are live again when it is back.
func TestOldNumbersAreMarked(t *testing.T) {
	s := tells(t, meshOf(7, 1))
	w := browsertest.Open(t, 1440, 900)
	w.Do(chromedp.Navigate(s.URL), chromedp.WaitVisible(css(`.node`)))
	s.hung.Store(true)
	w.Do(chromedp.WaitVisible(css(`#drawing.old`)))
	if got := w.Read(`document.getElementById("age").textContent`); !strings.HasPrefix(got, "old: no answer since") {
		t.Error(got)
	}
	w.Picture("live-old.png")
	s.hung.Store(false)
	w.Until(`!document.getElementById("drawing").classList.contains("old")`)
}
