//go:build e2e

package local

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/meshc/meshc/review/graph/browsertest"
)

// TestPageShowsWhatWasSent sends a known number of requests through real Envoys, and wants the live page in a real
// browser, meshc edges and meshc top to show exactly these: what was let in, what was denied, by which route and rule,
// and where nothing was sent.
func TestPageShowsWhatWasSent(t *testing.T) {
	m := start(t, inline(t, map[string]string{"mesh.cue": metricsMesh}))
	client := m.As("client").Client()
	for range 200 {
		get(t, client, "http://server:8080/items/1")
	}
	for range 40 {
		if a := send(t, client, http.MethodGet, "http://server:8080/secret/1"); a.status != http.StatusForbidden {
			t.Fatal(a.status)
		}
	}
	w := browsertest.Open(t, 1440, 900)
	w.Do(chromedp.Navigate("http://"+m.ServerAdmin()+"/#last=15m"), chromedp.WaitVisible(chromedp.CSS(`.node`)))
	w.Until(`((numbers.pairs.get("service client\nservice server") || []).find(e => e.port === 8080 && e.client && e.server && ` +
		`e.client.requests === 240 && e.server.denied === 40)) !== undefined`)
	w.Until(`document.querySelector('.call[data-from="service client"][data-to="service server"] text').textContent.includes("⊘ 40 denied")`)
	line := func(from, to string) string {
		return w.Read(fmt.Sprintf(`(g => g.getAttribute("class") + " " + g.querySelector("text").textContent)`+
			`(document.querySelector('.call[data-from="%s"][data-to="%s"]'))`, from, to))
	}
	if got := line("gateway edge", "service server"); got != "call silent no traffic" {
		t.Errorf("the edge without requests: %q", got)
	}
	w.Do(chromedp.Evaluate[chromedp.Void](`document.querySelector('.call[data-from="service client"][data-to="service server"]')` +
		`.dispatchEvent(new MouseEvent("click"))`))
	detail := w.Read(`document.getElementById("detail").innerText.replace(/\s+/g, " ")`)
	for _, want := range []string{
		"requests 240", "denied 40", "items mesh.cue:12:12 200", "service client, gateway edge mesh.cue:10:11 200",
		"denies: service client: /secret/* mesh.cue:11:10 40",
	} {
		if !strings.Contains(detail, want) {
			t.Errorf("no %q in %s", want, detail)
		}
	}
	if faults := w.Faults(); faults != "" {
		t.Error(faults)
	}
	w.Picture("envoys.png")
	meshc := filepath.Join(t.TempDir(), "meshc")
	if out, err := exec.Command("go", "build", "-o", meshc, "github.com/meshc/meshc/cmd/meshc").
		CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	says := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(meshc, append(args, "--server", m.ServerAdmin(), "--last", "15m")...)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.Join(strings.Fields(string(out)), " ")
	}
	if got := says("edges"); !strings.Contains(got, "client server 8080 240 0 40 ") {
		t.Errorf("meshc edges: %s", got)
	}
	// 240 requests in 15 minutes.
	w.Until(`statsOf(numbers.pairs.get("service client\nservice server").find(e => e.port === 8080)).perSecond.toFixed(1) === "0.3"`)
	if got := says("top"); !strings.Contains(got, "client server 8080 0.3 100.00% ") {
		t.Errorf("meshc top: %s", got)
	}
	w.Quiet("http://" + m.ServerAdmin() + "/")
}
