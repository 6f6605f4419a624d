//go:build e2e

package local

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/render/observability"
)

// TestPrometheusReadsEveryProxy has a real Prometheus run with what is compiled for it, over mutual TLS, while the mesh
// has some traffic: promtool accepts the files, every proxy is read, every recording rule has data, and no alert
// fires in a mesh that is well.
func TestPrometheusReadsEveryProxy(t *testing.T) {
	m := start(t, inline(t, map[string]string{
		"mesh.cue": scraperMesh(`scraper: {namespace: "monitoring", identity: "spiffe://shop.example/ns/monitoring/sa/prometheus"}`) + promised,
	}))
	dir := observed(t, m)
	for _, args := range [][]string{{"check", "config", "prometheus.yml"}, {"check", "rules", "rules.yml"}} {
		check := exec.CommandContext(t.Context(), "promtool", args...)
		check.Dir = dir
		if out, err := check.CombinedOutput(); err != nil {
			t.Fatalf("promtool %v: %v\n%s", args, err, out)
		}
	}
	p := runPrometheus(t, dir)
	client := m.As("client").Client()
	traffic := func() {
		get(t, client, "http://server:8080/items/1")
		get(t, http.DefaultClient, m.Gateway("edge").URL+"/items/2", "host", "shop.example")
		someBytes(t, m, "client", "server:9000")
	}
	rules, err := os.ReadFile(filepath.Join(dir, "rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[string]int{
		`up{job="meshc", mesh="shop"} == 1`: 5, `up{job="meshc-serve", mesh="shop"} == 1`: 1,
		`meshc_connected_proxies{job="meshc-serve", mesh="shop"} == 5`: 1,
	}
	for _, found := range regexp.MustCompile(`record: (\S+)`).FindAllStringSubmatch(string(rules), -1) {
		wanted[found[1]+`{callee="server.shop"} >= 0`] = 1 + 2*strings.Count(found[1], "objective")
	}
	if len(wanted) < 7 {
		t.Fatalf("there are few recording rules: %v", wanted)
	}
	for query, least := range wanted {
		n := p.count(t, query)
		for deadline := time.Now().Add(time.Minute); n < least && time.Now().Before(deadline); n = p.count(t, query) {
			traffic()
			time.Sleep(poll)
		}
		if n < least {
			t.Errorf("%s has %d series, want %d", query, n, least)
		}
	}
	for _, alert := range p.query(t, `ALERTS{alertstate="firing"}`) {
		t.Errorf("in a mesh that is well: %s", alert)
	}
	if n := p.count(t, `up{job="meshc"}`); n != 5 {
		t.Errorf("%d targets, want those of five proxies", n)
	}
	if n := p.count(t, `meshc:edge_failures:ratio_rate5m{callee="server.shop"} > 0`); n > 0 {
		t.Error("an edge without failures has some")
	}
}

// observed writes what is compiled for the Prometheus of a mesh into a directory, as this host has it: read every
// second, with the certificate of the scraper and meshc serve where they are.
func observed(t *testing.T, m *Mesh) string {
	t.Helper()
	dir := t.TempDir()
	files, err := observability.Mesh(m.Placed())
	if err != nil {
		t.Fatal(err)
	}
	certificates := filepath.Join(m.Directory(), "service/prometheus/certificates")
	for _, f := range files {
		text := strings.ReplaceAll(string(f.Data), "/etc/prometheus/mesh", certificates)
		text = regexp.MustCompile(`[0-9.]+:15013`).ReplaceAllString(text, m.control.server.MetricsAddr())
		text = regexp.MustCompile("interval: (30s|3m)").ReplaceAllString(text, "interval: 1s")
		if filepath.Base(f.Path) == "prometheus.yml" {
			text = "global: {scrape_interval: 1s, evaluation_interval: 1s}\n" + text
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f.Path)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// prometheusServer is a real one, by the address of its API.
type prometheusServer string

func runPrometheus(t *testing.T, dir string) prometheusServer {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := free.Addr().String()
	free.Close()
	cmd := exec.Command("prometheus", "--config.file", filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path",
		filepath.Join(dir, "data"), "--web.listen-address", at, "--log.level", "warn")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return prometheusServer(at)
}

func (p prometheusServer) count(t *testing.T, query string) int { return len(p.query(t, query)) }

// query are the series of a query; none while the server does not answer.
func (p prometheusServer) query(t *testing.T, query string) []json.RawMessage {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		fmt.Sprintf("http://%s/api/v1/query?query=%s", p, url.QueryEscape(query)), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= 500 {
		return nil
	}
	var result struct {
		Error string
		Data  struct{ Result []json.RawMessage }
	}
	if err := json.Unmarshal(body, &result); err != nil || result.Error != "" {
		t.Fatalf("%s: %s %v", query, body, err)
	}
	return result.Data.Result
}

// TestPrometheusReadsApplications has a real Prometheus read what each instance's own application has, over mutual TLS
// and as what is compiled for it says: by path, as targets of the application, with the labels of the mesh, which no
// metric of the application can replace.
func TestPrometheusReadsApplications(t *testing.T) {
	m := start(t, inline(t, map[string]string{"mesh.cue": scrapedMesh(byIdentity)}))
	dir := observed(t, m)
	check := exec.CommandContext(t.Context(), "promtool", "check", "config", "prometheus.yml")
	check.Dir = dir
	if out, err := check.CombinedOutput(); err != nil {
		t.Fatalf("promtool: %v\n%s", err, out)
	}
	all := scrapedInstances(m)
	for _, i := range all {
		listens(t, i.own, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "orders_total{instance=\"mine\",member=\"mine\",path=%q} 7\n", r.URL.Path)
		})
		play(t, m, "app", i.name, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "called_total 3") })
	}
	p := runPrometheus(t, dir)
	wanted := map[string]int{
		`up{job="shop/app", mesh="shop", namespace="shop", member="service/app"} == 1`:    6,
		`orders_total{job="shop/app", member="service/app", exported_member="mine"} == 7`: 4,
		`called_total{job="shop/app", metrics_path="/own/metrics"} == 3`:                  2,
		`up{job="meshc"} == 1`: 4,
	}
	for _, i := range all {
		wanted[fmt.Sprintf(`orders_total{instance=%q, metrics_path="/metrics", path="/metrics"}`, i.own)] = 1
		wanted[fmt.Sprintf(`orders_total{instance=%q, metrics_path="/metrics/slow", path="/metrics/slow"}`, i.own)] = 1
	}
	for query, want := range wanted {
		eventuallyRight(t, func() string {
			if n := p.count(t, query); n != want {
				return fmt.Sprintf("%s has %d series, want %d", query, n, want)
			}
			return ""
		})
	}
}

// TestAlertsFireForTheirCause gives promtool series as proxies have them: each alert fires for its cause, and none
// fires in an hour in which all is well.
func TestAlertsFireForTheirCause(t *testing.T) {
	linked := inline(t, map[string]string{"mesh.cue": scraperMesh(`scraper: ipRanges: ["127.0.0.0/8"]`)})
	files, err := observability.Mesh(linked)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f.Path)), f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	causes := map[string]string{
		"MeshProxyDown":            `{series: 'up{job="meshc", mesh="shop", member="service/cart"}', values: '1x29 0x30'}`,
		"MeshProxyNotConnected":    `{series: 'envoy_control_plane_connected_state{mesh="shop", member="service/cart"}', values: '1x29 0x30'}`,
		"MeshSeriesDropped":        `{series: 'envoy_server_stats_overflow_counter{mesh="shop", member="service/cart"}', values: '0x54 7x5'}`,
		"MeshServerDown":           `{series: 'up{job="meshc-serve", mesh="shop", instance="192.0.2.1:15013"}', values: '1x29 0x30'}`,
		"MeshStale":                `{series: 'meshc_mesh_stale{mesh="shop", instance="192.0.2.1:15013"}', values: '0x29 1x30'}`,
		"MeshSourceSilent":         `{series: 'meshc_source_age_seconds{mesh="shop", source="pods in shop"}', values: '10x29 300+60x30'}, {series: 'meshc_source_within_seconds{mesh="shop", source="pods in shop"}', values: '300x60'}`,
		"MeshProxyBehind":          `{series: 'meshc_unacknowledged_seconds{mesh="shop", type="EDS"}', values: '0x29 0+60x30'}`,
		"MeshConfigurationRefused": `{series: 'envoy_listener_manager_lds_update_rejected{mesh="shop", member="service/cart"}', values: '0x54 1x5'}, {series: 'envoy_cluster_manager_cds_update_rejected{mesh="shop", member="service/cart"}', values: '0x60'}`,
	}
	healthy := `{series: 'up{job="meshc", mesh="shop", member="service/cart"}', values: '1x60'}, ` +
		`{series: 'envoy_control_plane_connected_state{mesh="shop", member="service/cart"}', values: '1x60'}, ` +
		`{series: 'up{job="meshc-serve", mesh="shop", instance="192.0.2.1:15013"}', values: '1x60'}, ` +
		`{series: 'meshc_mesh_stale{mesh="shop", instance="192.0.2.1:15013"}', values: '0x60'}, ` +
		`{series: 'meshc_source_age_seconds{mesh="shop", source="pods in shop"}', values: '10x60'}, ` +
		`{series: 'meshc_source_within_seconds{mesh="shop", source="pods in shop"}', values: '300x60'}, ` +
		`{series: 'meshc_source_age_seconds{mesh="shop", source="mesh"}', values: '0+60x60'}, ` +
		`{series: 'meshc_unacknowledged_seconds{mesh="shop", type="EDS"}', values: '0x60'}, ` +
		`{series: 'envoy_server_stats_overflow_counter{mesh="shop", member="service/cart"}', values: '3x60'}, ` +
		`{series: 'envoy_listener_manager_lds_update_rejected{mesh="shop", member="service/cart"}', values: '2x60'}, ` +
		`{series: 'envoy_cluster_manager_cds_update_rejected{mesh="shop", member="service/cart"}', values: '0x60'}`
	rules, err := os.ReadFile(filepath.Join(dir, "rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	alerts := regexp.MustCompile(`alert: (\S+)`).FindAllStringSubmatch(string(rules), -1)
	if len(alerts) != len(causes) {
		t.Errorf("%d alerts have a cause here, and there are %d", len(causes), len(alerts))
	}
	for _, a := range alerts {
		name := a[1]
		for series, fires := range map[string]bool{causes[name]: true, healthy: false} {
			if got := firesAt(t, dir, name, series); got != fires {
				t.Errorf("%s fires: %v, of %s", name, got, series)
			}
		}
	}
}

// firesAt reports whether an alert fires after an hour of those series.
func firesAt(t *testing.T, dir, alert, series string) bool {
	t.Helper()
	text := fmt.Sprintf(`rule_files: [rules.yml]
evaluation_interval: 1m
tests:
- interval: 1m
  input_series: [%s]
  promql_expr_test:
  - {expr: 'count(ALERTS{alertname="%s", alertstate="firing"})', eval_time: 58m, exp_samples: [{labels: '{}', value: 1}]}
`, series, alert)
	if err := os.WriteFile(filepath.Join(dir, "test.yml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	test := exec.CommandContext(t.Context(), "promtool", "test", "rules", "test.yml")
	test.Dir = dir
	out, err := test.CombinedOutput()
	if err != nil && !strings.Contains(string(out), "got:") {
		t.Fatalf("promtool: %v\n%s", err, out)
	}
	return err == nil
}
