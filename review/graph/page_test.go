//go:build e2e

package graph_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/meshc/meshc/review/graph"
)

// TestPage opens the page in a real browser, searches, puts a member in focus, and reads the rules of its calls.
// Nothing that a spec says runs, and the page loads nothing.
func TestPage(t *testing.T) {
	name := filepath.Join(t.TempDir(), "mesh.html")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := graph.Of(shop(t)).HTML(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(browser(t)), chromedp.NoSandbox,
		chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	defer stop()
	ctx, end := chromedp.NewContext(ctx)
	defer end()
	var faults, loaded []string
	var events sync.Mutex
	if err := chromedp.Listen(ctx, func(event any) {
		events.Lock()
		defer events.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			faults = append(faults, e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			faults = append(faults, string(e.Type))
		case *network.EventRequestWillBeSent:
			loaded = append(loaded, e.Request.URL)
		}
	}); err != nil {
		t.Fatal(err)
	}
	do := func(steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, steps...); err != nil {
			t.Fatal(err)
		}
	}
	read := func(expression string) string {
		t.Helper()
		value, err := chromedp.Run(ctx, chromedp.Evaluate[string]("String("+expression+")"))
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	css := func(selector string) chromedp.CSS { return chromedp.CSS(selector) }
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	do(chromedp.Navigate("file://"+name), chromedp.WaitVisible(css(`.node`)))
	count, drawn, edges := read(`document.getElementById("count").textContent`), read(`document.querySelectorAll(".node").length`), read(`document.querySelectorAll(".edge").length`)
	do(chromedp.SendKeys(css(`#search`), "check"), chromedp.WaitNotPresent(css(`.node[data-id="service cart"]`)),
		chromedp.Click(css(`nav button[data-id="service checkout"]`)), chromedp.WaitVisible(css(`.node.focus[data-id="service checkout"]`)))
	detail, titles := read(`document.getElementById("detail").textContent`), read(`[...document.querySelectorAll("nav button")].map(b => b.textContent).join()`)
	do(chromedp.Click(css(`#all`)), chromedp.WaitVisible(css(`.node[data-id="service cart"]`)))
	ran := read(`window.hostile`)
	events.Lock()
	defer events.Unlock()
	if count != "4 of 4 members, 4 calls" || drawn != "4" || edges != "4" {
		t.Errorf("%q, %s nodes and %s edges are drawn", count, drawn, edges)
	}
	if titles != "gateway public,service checkout,service frontend" {
		t.Errorf("near checkout are %s", titles)
	}
	for _, want := range []string{"spiffe://shop.example/ns/default/sa/checkout", "service frontend → service checkout", "let in: " + hostile, "denied: no debugging (mesh.cue:"} {
		if !strings.Contains(detail, want) {
			t.Errorf("no %q in %s", want, detail)
		}
	}
	if ran != "undefined" || len(faults) > 0 || len(loaded) != 1 {
		t.Errorf("hostile: %s, faults: %v, loaded: %v", ran, faults, loaded)
	}
}

// browser is a Chromium of this machine, $CHROMIUM before others.
func browser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path
		}
	}
	t.Fatal("no Chromium: set CHROMIUM, or install the package chromium")
	return ""
}
