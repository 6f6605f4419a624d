//go:build e2e

package local

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshc/meshc/render/observability"
)

// promised are objectives of [metricsMesh]: of a service, and of one of its callers.
const promised = `services: {
	server: objectives: {availability: 99.9, latency: "30s": 99}
	client: uses: server: objectives: availability: 90
}
`

// TestErrorBudgetAlerts gives promtool series as proxies have them, and wants the alerts that the Site Reliability
// Workbook has for such rates of failures, and no others.
//
// Field: objectives.availability
// Field: objectives.latency
func TestErrorBudgetAlerts(t *testing.T) {
	files, err := observability.Mesh(inline(t, map[string]string{
		"mesh.cue": scraperMesh(`scraper: ipRanges: ["127.0.0.0/8"]`) + promised,
	}))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f.Path)), f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range budgetCases() {
		t.Run(name, func(t *testing.T) { firing(t, dir, c.series, c.alerts) })
	}
}

// firing wants these alerts, by the labels that tell them apart, after an hour of those series.
func firing(t *testing.T, dir string, series, alerts []string) {
	t.Helper()
	var want []string
	for _, labels := range alerts {
		want = append(want, fmt.Sprintf("{labels: '%s', value: 1}", labels))
	}
	text := fmt.Sprintf(`rule_files: [rules.yml]
evaluation_interval: 30s
tests:
- interval: 1m
  input_series: [%s]
  promql_expr_test:
  - {expr: 'count by (alertname, objective, caller) (ALERTS{alertstate="firing"})', eval_time: 60m, exp_samples: [%s]}
`, strings.Join(series, ", "), strings.Join(want, ", "))
	if err := os.WriteFile(filepath.Join(dir, "test.yml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	test := exec.CommandContext(t.Context(), "promtool", "test", "rules", "test.yml")
	test.Dir = dir
	if out, err := test.CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

// budgetCase is some series, and the alerts that fire for them.
type budgetCase struct{ series, alerts []string }

// edgeSeries is a series of requests to the server; more are further labels.
func edgeSeries(name, caller, more, values string) string {
	return fmt.Sprintf(`{series: 'envoy_meshc_%s{mesh="shop", callee="server.shop", caller="spiffe://shop.example/ns/shop/sa/%s"%s}', values: '%s'}`,
		name, caller, more, values)
}

func requestSeries(caller, class, values string) string {
	return edgeSeries("http_client_requests", caller, fmt.Sprintf(", http_response_status_class=%q", class), values)
}

// durationSeries are how many requests took less than 30 s, of how many.
func durationSeries(le, under, all string) []string {
	return []string{
		edgeSeries("http_client_request_duration_bucket", "edge", fmt.Sprintf(", le=%q", le), under),
		edgeSeries("http_client_request_duration_count", "edge", "", all),
	}
}

// budgetCases are by what happens in an hour.
func budgetCases() map[string]budgetCase {
	const (
		availability = `{alertname="%s", objective="availability"}`
		latency      = `{alertname="%s", objective="latency 30s"}`
		client       = `{alertname="%s", caller="spiffe://shop.example/ns/shop/sa/client", objective="availability"}`
		well         = "0+10000x60"
	)
	slow := func(of string) []string { return []string{fmt.Sprintf(of, "MeshErrorBudgetBurns")} }
	fast := func(of string) []string { return append(slow(of), fmt.Sprintf(of, "MeshErrorBudgetBurnsFast")) }
	besides := func(class, values string) []string {
		return []string{requestSeries("edge", "2xx", well), requestSeries("edge", class, values)}
	}
	calls := func(status, values string) []string {
		return []string{requestSeries("edge", "2xx", well), edgeSeries("http_client_failures", "edge",
			fmt.Sprintf(`, http_response_status_code="200", rpc_grpc_status_code=%q`, status), values)}
	}
	return map[string]budgetCase{
		"nothing is asked":                     {},
		"all is well":                          {append(durationSeries("30000", well, well), requestSeries("edge", "2xx", well)), nil},
		"less than the budget":                 {besides("5xx", "0+5x60"), nil},
		"1.5 times the budget":                 {besides("5xx", "0+15x60"), slow(availability)},
		"4 times the budget, without a status": {besides("none", "0+40x60"), slow(availability)},
		"8 times the budget":                   {besides("5xx", "0+80x60"), fast(availability)},
		"refused requests":                     {besides("4xx", well), nil},
		"calls of gRPC that fail":              {calls("14", "0+200x60"), fast(availability)},
		"calls of gRPC that find nothing":      {calls("5", "0+200x60"), nil},
		"a failure that is over":               {besides("5xx", "0+400x28 11200x40"), slow(availability)},
		"a caller's own objective": {[]string{
			requestSeries("client", "2xx", "0+100x60"), requestSeries("client", "5xx", "0+300x60"),
			requestSeries("edge", "2xx", "0+1000000x60"),
		}, fast(client)},
		"slow requests":                 {durationSeries("30000", "0+8000x60", well), fast(latency)},
		"slow requests in Prometheus 3": {durationSeries("30000.0", "0+9600x60", well), slow(latency)},
		"a proxy that has not restarted since the objective came": {append(durationSeries("30000", well, well),
			edgeSeries("http_client_request_duration_count", "edge", `, instance="old"`, well)), nil},
	}
}
