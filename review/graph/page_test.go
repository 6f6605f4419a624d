//go:build e2e

package graph_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/meshc/meshc/review/graph"
	"github.com/meshc/meshc/review/graph/browsertest"
)

func css(selector string) chromedp.CSS { return chromedp.CSS(selector) }

// written is the page of a graph, as a file.
func written(t *testing.T, g *graph.Graph) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "mesh.html")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := g.HTML(f); err != nil {
		t.Fatal(err)
	}
	if about, err := f.Stat(); err == nil {
		t.Logf("%d nodes, %d calls: %d bytes in %v", len(g.Nodes), len(g.Edges), about.Size(), time.Since(began))
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestPage opens the page in a real browser, searches, puts a member in focus, and reads the rules of its calls.
// Nothing that a spec says runs, and the page loads nothing.
func TestPage(t *testing.T) {
	w := browsertest.Open(t, 1280, 800)
	w.Do(chromedp.Navigate("file://"+written(t, graph.Of(shop(t)))), chromedp.WaitVisible(css(`.node`)))
	if got := w.Read(`document.getElementById("count").textContent`); got != "4 of 4 members, 4 of 4 calls" {
		t.Error(got)
	}
	if got := w.Read(`document.querySelectorAll(".node").length + " " + document.querySelectorAll("#graph .call").length`); got != "4 4" {
		t.Errorf("nodes and calls: %s", got)
	}
	w.Do(chromedp.SendKeys(css(`#search`), "check"), chromedp.WaitNotPresent(css(`nav button[data-id="service cart"]`)),
		chromedp.Click(css(`nav button[data-id="service checkout"]`)),
		chromedp.WaitNotPresent(css(`.node[data-id="service cart"]`)),
		chromedp.WaitVisible(css(`.node.selected[data-id="service checkout"]`)))
	near := w.Read(`[...document.querySelectorAll(".node")].map(n => n.dataset.id).sort().join()`)
	if near != "gateway public,service checkout,service frontend" {
		t.Errorf("near checkout are %s", near)
	}
	holds(w, t, "spiffe://shop.example/ns/default/sa/checkout", "is called by", "frontend", "written")
	w.Do(chromedp.Evaluate[chromedp.Void](
		`document.querySelector('.call[data-from="service frontend"][data-to="service checkout"]')` +
			`.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter"}))`))
	holds(w, t, "service frontend → service checkout", "let in: "+hostile, "denied: no debugging mesh.cue:")
	w.Do(chromedp.Click(css(`#all`)), chromedp.WaitVisible(css(`.node[data-id="service cart"]`)))
	if ran := w.Read(`window.hostile`); ran != "undefined" {
		t.Errorf("a rule's name ran: %s", ran)
	}
	w.Quiet("file://")
}

// holds wants texts in what stands beside the drawing.
func holds(w *browsertest.Window, t *testing.T, texts ...string) {
	t.Helper()
	detail := w.Read(`document.getElementById("detail").textContent`)
	for _, want := range texts {
		if !strings.Contains(detail, want) {
			t.Errorf("no %q in %s", want, detail)
		}
	}
}

// TestGeometryInTheBrowser draws meshes of 7, 60 and 500 services, and every view of them: no box overlaps another, no
// line runs through a box that it does not touch, every text is at least 12 pixels high and within its box, and the
// drawing fills its place.
func TestGeometryInTheBrowser(t *testing.T) {
	for _, size := range []struct{ services, namespaces int }{{7, 1}, {60, 5}, {500, 14}} {
		t.Run(fmt.Sprint(size.services), func(t *testing.T) {
			g := meshOf(size.services, size.namespaces)
			w := browsertest.Open(t, 1440, 900)
			w.Do(chromedp.Navigate("file://"+written(t, g)), chromedp.WaitVisible(css(`.node`)))
			if fills := w.Read(
				`Math.max(svg.clientWidth / drawing.clientWidth, svg.clientHeight / drawing.clientHeight) > 0.6`); fills != "true" {
				t.Error("the drawing does not fill its place")
			}
			for i, view := range g.Views() {
				if i > 8 && i%(1+size.services/12) != 0 {
					continue
				}
				w.Do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf("show(data.scenes[%q])", view)))
				if faults := w.Faults(); faults != "" {
					t.Errorf("view %q: %s", view, faults)
				}
				if i < 4 {
					w.Picture(fmt.Sprintf("still-%d-%d.png", size.services, i))
				}
			}
			w.Quiet("file://")
		})
	}
}
