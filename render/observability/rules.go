package observability

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// ruleFile is rules.yml.
type ruleFile struct {
	Groups []group `json:"groups"`
}

// group is rules that Prometheus evaluates together.
type group struct {
	Name     string `json:"name"`
	Interval string `json:"interval"`
	Rules    []rule `json:"rules"`
}

// rule records a series, or is an alert.
type rule struct {
	Record      string            `json:"record,omitempty"`
	Alert       string            `json:"alert,omitempty"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// edge are the labels of an edge; see docs/metrics.md.
const edge = "caller, callee, server_port"

func rules(m *ir.Mesh) []group {
	return append([]group{
		{Name: "meshc-" + m.Name + "-edges", Interval: shortInterval, Rules: edges(m)},
		{Name: "meshc-" + m.Name + "-proxies", Interval: shortInterval, Rules: proxies(m)},
	}, objectiveGroups(m)...)
}

// selector are labels as a query has them.
func selector(labels map[string]string) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		out = append(out, fmt.Sprintf("%s=%q", name, labels[name]))
	}
	return strings.Join(out, ", ")
}

// rate is how much the mesh's metric of that name grows in a second, of the series with these labels, summed by others.
func rate(name, by, labels, window string) string {
	if by != "" {
		by = fmt.Sprintf(" by (%s) ", by)
	}
	return fmt.Sprintf("sum%s(rate(envoy_meshc_%s{%s}[%s]))", by, name, labels, window)
}

// failing is how many requests fail in a second: those with a status 5xx, those that end without any, and calls of gRPC
// that end with a status that is the server's fault. Where nothing failed there are no series of failures, and it is
// what none is.
func failing(by, labels, window, none string) string {
	var faults []string
	for _, status := range ir.GRPCServerFaults {
		faults = append(faults, strconv.Itoa(status))
	}
	return fmt.Sprintf("(%s or %s) + (%s or %s)",
		rate("http_client_requests", by, labels+`, http_response_status_class=~"5xx|none"`, window), none,
		rate("http_client_failures", by, labels+fmt.Sprintf(
			`, http_response_status_code=~"2..", rpc_grpc_status_code=~"%s"`, strings.Join(faults, "|")), window), none)
}

// edges record what dashboards and people ask of each edge: how many requests a second, which share of them fails, and
// how long they take, in milliseconds. They are counted at the proxy that chose the route, each once.
func edges(m *ir.Mesh) []rule {
	labels := map[string]string{"mesh": m.Name}
	of := selector(labels)
	recorded := func(name, expr string) rule {
		return rule{Record: "meshc:edge_" + name, Expr: expr, Labels: labels}
	}
	all := rate("http_client_requests", edge, of, "5m")
	out := []rule{
		recorded("requests:rate5m", all),
		recorded("failures:ratio_rate5m", fmt.Sprintf("(%s) / (%s > 0)", failing(edge, of, "5m", all+" * 0"), all)),
		recorded("connections:rate5m", rate("tcp_client_connections", edge, of, "5m")),
	}
	for _, q := range []struct{ name, share string }{{"p50", "0.5"}, {"p95", "0.95"}, {"p99", "0.99"}} {
		out = append(out, recorded("duration_milliseconds:"+q.name+"_5m", fmt.Sprintf("histogram_quantile(%s, %s)",
			q.share, rate("http_client_request_duration_bucket", edge+", le", of, "5m"))))
	}
	return out
}

// describe has a label of a target as the words of a command.
const describe = `meshc describe {{ reReplaceAll "/" " " $labels.member }}`

// runbook is the address of what to do when an alert fires: its section of docs/runbooks.md.
func runbook(alert string) string {
	return "https://github.com/meshc/meshc/blob/main/docs/runbooks.md#" + strings.ToLower(alert)
}

// proxies are alerts about the proxies themselves.
func proxies(m *ir.Mesh) []rule {
	of := fmt.Sprintf("{mesh=%q}", m.Name)
	alert := func(name, expr, wait, severity, summary, explain string) rule {
		return rule{
			Alert: name, Expr: expr, For: wait, Labels: map[string]string{"severity": severity, "mesh": m.Name},
			Annotations: map[string]string{"summary": summary, "explain": explain, "runbook_url": runbook(name)},
		}
	}
	out := []rule{
		alert("MeshProxyDown", fmt.Sprintf("up{job=%q, mesh=%q} == 0", Job, m.Name), "5m", "warning",
			"The metrics of a proxy of {{ $labels.member }} cannot be read at {{ $labels.instance }}",
			describe),
		alert("MeshSeriesDropped", "increase(envoy_server_stats_overflow_counter"+of+"[15m]) > 0", "", "warning",
			"A proxy of {{ $labels.member }} has more series than it keeps, and does not count the others",
			describe),
	}
	if m.Delivery == ir.DeliveryXDS {
		out = append(out,
			alert("MeshProxyNotConnected", "envoy_control_plane_connected_state"+of+" == 0", "5m", "warning",
				"A proxy of {{ $labels.member }} has no connection to meshc serve, and keeps the configuration that it has",
				"meshc status"),
			alert("MeshConfigurationRefused", fmt.Sprintf(
				"increase(envoy_listener_manager_lds_update_rejected%s[15m]) + increase(envoy_cluster_manager_cds_update_rejected%s[15m]) > 0",
				of, of), "", "critical",
				"A proxy of {{ $labels.member }} has refused its configuration, and keeps the one that it has",
				"meshc status"),
			alert("MeshServerDown", fmt.Sprintf("up{job=%q, mesh=%q} == 0", ServerJob, m.Name), "5m", "critical",
				"The metrics of meshc serve cannot be read at {{ $labels.instance }}: if it is down, proxies keep the "+
					"configuration that they have, and their certificates end", "meshc status"),
			alert("MeshStale", "meshc_mesh_stale"+of+" == 1", "15m", "warning",
				"meshc serve at {{ $labels.instance }} refuses the mesh that it is to serve, and serves the last good one",
				"meshc status"),
			alert("MeshSourceSilent", "meshc_source_age_seconds"+of+" > meshc_source_within_seconds"+of, "1m", "critical",
				"meshc serve at {{ $labels.instance }} hears nothing of {{ $labels.source }}: what proxies have of it may be "+
					"out of date, though they have acknowledged everything", "meshc status"),
			alert("MeshProxyBehind", fmt.Sprintf("meshc_unacknowledged_seconds%s > 300", of), "1m", "warning",
				"A proxy at meshc serve at {{ $labels.instance }} has not acknowledged a change ({{ $labels.type }}) for 5 minutes",
				"meshc status"))
	}
	return out
}
