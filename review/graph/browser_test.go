//go:build e2e

package graph_test

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// window is a page in a real browser.
type window struct {
	t      *testing.T
	ctx    context.Context
	mu     sync.Mutex
	faults []string // exceptions, and what the page wrote to the console
	loaded []string // what it asked for
}

// openWindow starts a browser with a window of that size.
func openWindow(t *testing.T, width, height int) *window {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(browser(t)), chromedp.NoSandbox,
		chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(width, height),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(ctx)
	t.Cleanup(end)
	w := &window{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, func(event any) {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			text := e.ExceptionDetails.Text
			if e.ExceptionDetails.Exception != nil {
				text += " " + e.ExceptionDetails.Exception.Description
			}
			w.faults = append(w.faults, text)
		case *runtime.EventConsoleAPICalled:
			w.faults = append(w.faults, string(e.Type))
		case *network.EventRequestWillBeSent:
			w.loaded = append(w.loaded, e.Request.URL)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *window) do(steps ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	if err := chromedp.Do(w.ctx, steps...); err != nil {
		w.t.Fatal(err, w.faults)
	}
}

// read is what a JavaScript expression has for a value, as text.
func (w *window) read(expression string) string {
	w.t.Helper()
	value, err := chromedp.Run(w.ctx, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		w.t.Fatal(err)
	}
	return value
}

// quiet fails the test if the page threw, wrote to the console, or asked for more than that.
func (w *window) quiet(requests int) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.faults) > 0 || len(w.loaded) != requests {
		w.t.Errorf("faults: %v, loaded: %v", w.faults, w.loaded)
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
