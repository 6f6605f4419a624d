//go:build e2e

package browsertest

import (
	"context"
	_ "embed"
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
)

// Window is a page in a real browser.
type Window struct {
	t      *testing.T
	ctx    context.Context
	mu     sync.Mutex
	faults []string // exceptions, and what the page wrote to the console
	loaded []string // what it asked for
}

// Open starts a browser with a window of that size, and with more flags.
func Open(t *testing.T, width, height int, more ...chromedp.ExecAllocatorOption) *Window {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(browser(t)), chromedp.NoSandbox,
		chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(width, height),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(ctx, append(options, more...)...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(ctx)
	t.Cleanup(end)
	w := &Window{t: t, ctx: ctx}
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

// Do carries out steps, one after the other.
func (w *Window) Do(steps ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	if err := chromedp.Do(w.ctx, steps...); err != nil {
		w.t.Fatal(err, w.faults)
	}
}

// Read is what a JavaScript expression has for a value, as text.
func (w *Window) Read(expression string) string {
	w.t.Helper()
	value, err := chromedp.Run(w.ctx, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		w.t.Fatal(err)
	}
	return value
}

// Quiet fails the test if the page threw, wrote to the console, or asked for anything but what begins so.
func (w *Window) Quiet(from string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, url := range w.loaded {
		if !strings.HasPrefix(url, from) {
			w.t.Errorf("it asked for %s", url)
		}
	}
	if len(w.faults) > 0 || len(w.loaded) == 0 {
		w.t.Errorf("faults: %v, loaded: %v", w.faults, w.loaded)
	}
}

// Until waits until an expression is true.
func (w *Window) Until(expression string) {
	w.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); w.Read(expression) != "true"; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("it did not happen within 30s: %s; %v", expression, w.faults)
		}
	}
}

// geometry is the list of what is wrong with a drawing, by what the browser made of it.
//
//go:embed geometry.js
var geometry string

// Faults are what is wrong with the drawing of a mesh: boxes that overlap, lines that run through a box which they do
// not touch, labels on boxes or on each other, texts that are wider than their box or less than 12 pixels high.
func (w *Window) Faults() string {
	w.t.Helper()
	return w.Read(geometry)
}

// Picture keeps what the window shows as a file of the directory $MESHC_PICTURES, if that is set.
func (w *Window) Picture(name string) {
	w.t.Helper()
	dir := os.Getenv("MESHC_PICTURES")
	if dir == "" {
		return
	}
	data, err := chromedp.Run(w.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		w.t.Fatal(err)
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
