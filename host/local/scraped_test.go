package local

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

// scrapedMesh has a service of two instances whose application has metrics on a port of its own, which no member calls,
// and on the port that members call.
func scrapedMesh(scraper string) string {
	return `package shop

mesh: {
	name: "shop", trustDomain: "shop.example", silence: {MC1701: "-", MC1704: "-", MC1736: "-"}
	telemetry: metrics: scraper: {` + scraper + `}
	jwt: issuers: staff: {issuer: "https://id.example", audiences: ["shop"], jwks: inline: "{\"keys\":[]}", forward: claims: sub: "x-user"}
}
services: [string]: namespace: "shop"
services: {
	app: {
		workload: deployment: "app"
		versions: {one: labels: v: "1", two: labels: v: "2"}
		ports: http: {port: 8080, protocol: "http"}
		allow: [{from: services: ["client"], paths: ["/items"], jwt: issuer: "staff"}, {from: services: ["client"], paths: ["/open"]}]
		scrape: [{port: 9187}, {port: 9187, path: "/metrics/slow"}, {port: 8080, path: "/own/metrics"}]
	}
	client: {workload: deployment: "client", uses: app: {}, proxy: metricsPort: 15091}
	prometheus: {workload: deployment: "prometheus"}
}
`
}

const (
	byAddress  = `ipRanges: ["127.0.0.0/8"]`
	byIdentity = `identity: "spiffe://shop.example/ns/shop/sa/prometheus"`
)

// scrapedInstance is one of the service app.
type scrapedInstance struct {
	name string
	// metrics is where its proxy has metrics, and own where its application has some that no member calls.
	metrics, own string
}

func scrapedInstances(m *Mesh) (out []scrapedInstance) {
	s := m.Placed().Service("app")
	for i := range s.Workload.Endpoints {
		e := &s.Workload.Endpoints[i]
		out = append(out, scrapedInstance{e.Name, join(e.Address, s.Proxy.MetricsPort), join(e.Address, 9187)})
	}
	return out
}

// listens has an application answer there until the test ends, or until it is stopped.
func listens(t *testing.T, at string, h http.HandlerFunc) (stop func()) {
	t.Helper()
	l, err := listening(at)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	go func() { _ = s.Serve(l) }()
	stop = func() {
		s.Close()
		l.Close() // which it may not know yet
	}
	t.Cleanup(stop)
	return stop
}

// The scraper reads what each instance's own application has, over strict mutual TLS by the address of the instance, on
// a port that no Service has and on one that members call, as often as there are paths. Users' reports:
// istio/istio#21402 and #27824 (a sidecar with mutual TLS ends scrapes by the pod's address), istio/istio#59567 (one
// port of several), istio/istio#58280 (a port that pods do not declare is not found).
//
// Field: scrape
// Field: scrape.port
// Field: scrape.path
func TestScrapeReadsEachInstance(t *testing.T) {
	m := start(t, inline(t, map[string]string{"mesh.cue": scrapedMesh(byIdentity)}))
	all := scrapedInstances(m)
	if len(all) != 2 {
		t.Fatalf("there are %d instances, want 2", len(all))
	}
	for _, i := range all {
		listens(t, i.own, func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "own %s %s", i.name, r.URL) })
		play(t, m, "app", i.name, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "called %s %s", i.name, r.URL)
		})
	}
	as := asMember(t, m, "service/prometheus")
	for _, i := range all {
		for path, want := range map[string]string{
			"/9187/metrics": "own " + i.name + " /metrics", "/9187/metrics/slow": "own " + i.name + " /metrics/slow",
			"/8080/own/metrics": "called " + i.name + " /own/metrics",
		} {
			if status, body := readsAt(t, i.metrics, path, as); status != http.StatusOK || body != want {
				t.Errorf("%s of %s: %d %.200q, want %q", path, i.name, status, body, want)
			}
		}
		if status, body := overTLS(t, i.metrics, as); status != http.StatusOK || strings.Contains(body, "own ") {
			t.Errorf("the proxy's own metrics are %d %.200q", status, body)
		}
	}
}

// readsAt asks for one path over TLS; 0 and the error without an answer.
func readsAt(t *testing.T, at, path string, config *tls.Config) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: config}}
	a, err := trySend(t.Context(), client, http.MethodGet, "https://"+at+path)
	if err != nil {
		return 0, err.Error()
	}
	return a.status, a.body
}

// Nobody but the scraper reads an application's metrics through its proxy: neither a member that may call it, nor the
// application's own identity, nor somebody without a certificate; and the scraper becomes no caller by that. Users'
// reports: istio/istio#19975 (a rule for the port had to let everybody in), linkerd/linkerd2#9150 (default deny held
// the scraper up until somebody wrote policies), linkerd/linkerd2#12634 (without TLS at times).
func TestScrapeIsForTheScraper(t *testing.T) {
	m := start(t, inline(t, map[string]string{"mesh.cue": scrapedMesh(byIdentity)}))
	i := scrapedInstances(m)[0]
	listens(t, i.own, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "secret") })
	if status, body := readsAt(t, i.metrics, "/9187/metrics", asMember(t, m, "service/prometheus")); body != "secret" {
		t.Fatalf("the scraper reads %d %q", status, body)
	}
	for _, member := range []string{"client", "app"} {
		if status, body := readsAt(t, i.metrics, "/9187/metrics", asMember(t, m, "service/"+member)); status != 0 {
			t.Errorf("%s reads %d %q", member, status, body)
		}
	}
	nobody := &tls.Config{InsecureSkipVerify: true}
	if status, body := readsAt(t, i.metrics, "/9187/metrics", nobody); status != 0 {
		t.Errorf("without a certificate: %d %q", status, body)
	}
	if status, _, body := scrape(t, i.metrics, "GET /9187/metrics HTTP/1.1\r\nhost: x\r\n\r\n"); status != 0 {
		t.Errorf("without TLS: %d %q", status, body)
	}
	as := asMember(t, m, "service/prometheus")
	for _, path := range []string{"/items", "/own/metrics"} {
		if status, body := readsAt(t, inbound(m, "app", "http"), path, as); status != http.StatusForbidden {
			t.Errorf("the scraper calls %s: %d %q", path, status, body)
		}
	}
	a := send(t, m.As("client").Client(), http.MethodGet, "http://app:8080/own/metrics")
	if a.status != http.StatusForbidden {
		t.Errorf("a member calls the metrics: %d", a.status)
	}
	c := m.Placed().Service("client")
	other := join(c.Workload.Endpoints[0].Address, c.Proxy.MetricsPort)
	if status, body := readsAt(t, other, "/9187/metrics", as); status != http.StatusNotFound {
		t.Errorf("a service without scrape: %d %q", status, body)
	}
}

// Of an application the scraper gets the paths that are declared, by GET, and nothing else, however a request is spelt;
// it cannot say who it is by headers that the mesh alone writes, and makes no series. The format that it asks for is
// the application's to choose: exemplars come in OpenMetrics alone.
func TestScrapeIsOnePath(t *testing.T) {
	m := start(t, inline(t, map[string]string{"mesh.cue": scrapedMesh(byAddress)}))
	i := scrapedInstances(m)[0]
	var mu sync.Mutex
	var got []string
	listens(t, i.own, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, fmt.Sprint(r.Method, " ", r.RequestURI, " ", r.ContentLength, " ", r.Header.Get("accept"),
			r.Header.Get("x-user"), r.Header.Get("x-forwarded-client-cert")))
		fmt.Fprint(w, "secret")
	})
	series := func() int {
		_, _, body := scrape(t, i.metrics, "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
		return strings.Count(body, "\nenvoy_meshc_")
	}
	before := series()
	var all sync.WaitGroup
	for _, line := range []string{
		"GET /9187/", "GET /9187", "GET /9187/metrics/", "GET /9187/metrics?x=1", "GET /9187/metrics?",
		"POST /9187/metrics", "HEAD /9187/metrics", "DELETE /9187/metrics", "OPTIONS /9187/metrics",
		"CONNECT /9187/metrics", "get /9187/metrics", "GET /9187/METRICS", "GET /9187/metrics;x", "GET /9187/metrics%20",
		"GET /9187/metrics/../admin",
		"GET /9187/admin",
		"GET /9187/metrics%2f..%2fadmin", "GET /9187/metrics/%2e%2e/admin", "GET /09187/metrics", "GET /9188/metrics",
		"GET /9187/own/metrics", "GET /8080/metrics", "GET /15000/stats", "GET http://" + i.own + "/admin", "GET *",
	} {
		all.Go(func() {
			status, _, body := scrape(t, i.metrics, line+" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
			if status != 0 && status < http.StatusBadRequest || strings.Contains(body, "secret") {
				t.Errorf("%q: %d %q", line, status, body)
			}
		})
	}
	all.Wait()
	status, _, body := scrape(t, i.metrics, "GET /9187/metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"+
		"accept: application/openmetrics-text\r\nx-user: admin\r\n"+
		"x-forwarded-client-cert: URI=spiffe://shop.example/x\r\n\r\n")
	if status != http.StatusOK || body != "secret" {
		t.Errorf("the metrics: %d %q", status, body)
	}
	mu.Lock()
	defer mu.Unlock()
	if want := "[GET /metrics 0 application/openmetrics-text]"; fmt.Sprint(got) != want {
		t.Errorf("the application got %v, want %s", got, want)
	}
	if after := series(); after != before {
		t.Errorf("%d series of the mesh before, and %d after", before, after)
	}
}

// An application that does not answer, or not at once, costs its own metrics alone: those of its proxy are read all the
// while. Where metrics are merged, one answer lacks a part without saying so: istio/istio#39091, #53753.
func TestScrapeOfASilentApplication(t *testing.T) {
	m := start(t, inline(t, map[string]string{"mesh.cue": scrapedMesh(byAddress)}))
	i := scrapedInstances(m)[0]
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	url := "http://" + i.metrics + "/9187/metrics"
	if a := send(t, client, http.MethodGet, url); a.status != http.StatusServiceUnavailable {
		t.Errorf("where nobody listens: %d, want 503", a.status)
	}
	readMetrics(t, "where nobody listens", i.metrics)
	held := make(chan struct{}, 16)
	release := make(chan struct{})
	listens(t, i.own, func(_ http.ResponseWriter, r *http.Request) {
		held <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	var waiting sync.WaitGroup
	const most = 4 // as many as the proxy has under way
	for range most {
		waiting.Go(func() {
			if a, err := trySend(t.Context(), client, http.MethodGet, url); err != nil || a.status != http.StatusOK {
				t.Errorf("a slow answer: %v %v", a, err)
			}
		})
	}
	for range most {
		select {
		case <-held:
		case <-time.After(time.Minute):
			t.Fatal("the application is not asked")
		}
	}
	readMetrics(t, "while the application hangs", i.metrics)
	close(release)
	waiting.Wait()
}

// A reload adds a path, and takes it away.
func TestScrapeComesWithAReload(t *testing.T) {
	linked := inline(t, map[string]string{"mesh.cue": scrapedMesh(byAddress)})
	without := linked.Clone()
	without.Service("app").Scrape = nil
	m := start(t, without)
	i := scrapedInstances(m)[0]
	listens(t, i.own, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "own") })
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	becomes := func(mesh *ir.Mesh, status int) {
		t.Helper()
		if mesh != nil {
			if err := m.Update(t.Context(), mesh); err != nil {
				t.Fatal(err)
			}
		}
		eventuallyRight(t, func() string {
			if a := send(t, client, http.MethodGet, "http://"+i.metrics+"/9187/metrics"); a.status != status {
				return fmt.Sprintf("the metrics: %d, want %d", a.status, status)
			}
			return ""
		})
	}
	becomes(nil, http.StatusNotFound)
	becomes(linked, http.StatusOK)
	becomes(without, http.StatusNotFound)
}

// A scraper that a reload adds reads the metrics of meshc serve too, and nobody reads them before and afterwards.
func TestScraperComesWithAReload(t *testing.T) {
	linked := inline(t, map[string]string{"mesh.cue": scrapedMesh(byAddress)})
	without := linked.Clone()
	without.Metrics.Scraper = nil
	m := start(t, without)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	reads := func() bool {
		a, err := trySend(t.Context(), client, http.MethodGet, "http://"+m.control.server.MetricsAddr()+"/metrics")
		return err == nil && a.status == http.StatusOK && strings.Contains(a.body, "meshc_connected_proxies")
	}
	for _, next := range []*ir.Mesh{nil, linked, without} {
		if next != nil {
			if err := m.Update(t.Context(), next); err != nil {
				t.Fatal(err)
			}
		}
		if want := next == linked; reads() != want {
			t.Errorf("the metrics of meshc serve are read: %v, want %v", !want, want)
		}
	}
}
