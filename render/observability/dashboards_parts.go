package observability

import (
	"fmt"

	"github.com/meshc/meshc/compiler/ir"
)

// requestPanels are how many requests the chosen edges have, which of them fail, and how long they take.
func requestPanels(m *ir.Mesh, chosen, by, legend string) []panel {
	var times []query
	for _, q := range []string{"p50", "p95", "p99"} {
		times = append(times, query{fmt.Sprintf("max(%s)", recorded(m, "meshc:edge_duration_milliseconds:"+q+"_5m", chosen)), q})
	}
	return []panel{
		{
			"Requests", "meshc:edge_requests:rate5m: requests a second. meshc edges lists declared edges that nobody uses.",
			perSecond, lines,
			[]query{{summed(by, recorded(m, "meshc:edge_requests:rate5m", chosen)), legend}},
		},
		{"Share that fails", "meshc:edge_failures:ratio_rate5m: statuses 5xx, none at all, and those of gRPC that are the " +
			"server's fault. The next row says why.", share, lines, []query{{failedShare(m, by, chosen), legend}}},
		{"Duration", "meshc:edge_duration_milliseconds: quantiles of the slowest edge, at the caller. If only p99 is high, " +
			"look at retries and ejections; meshc tap shows single requests.", millis, lines, times},
	}
}

// failurePanels tell the causes of failures.
func failurePanels(m *ir.Mesh, chosen string) []panel {
	return []panel{
		{"Requests by status", "envoy_meshc_http_client_requests by the class of the status; none is a request that ended " +
			"without.", perSecond, lines, []query{{
			counted(m, "http_client_requests", "http_response_status_class", chosen),
			"{{http_response_status_class}}",
		}}},
		{"Failures at the caller", "envoy_meshc_http_client_failures by status and error.type, Envoy's response flag in words. " +
			"meshc logs explains each flag.", perSecond, lines, []query{{
			counted(m, "http_client_failures",
				"http_response_status_code, rpc_grpc_status_code, error_type", chosen),
			"{{http_response_status_code}} {{rpc_grpc_status_code}} {{error_type}}",
		}}},
		{
			"Denied", "envoy_meshc_http_server_failures with status 403, and envoy_meshc_tcp_server_failures Denied, by caller " +
				"and rule: no rule allows them, or one denies them. meshc edges has the line to add; meshc try explains one request.", perSecond, lines,
			[]query{{denied(m, "caller, rule", chosen), "{{caller}} {{rule}}"}},
		},
		{
			"Connections that fail", "envoy_meshc_tcp_server_failures by error.type: only the callee's proxy knows why it closed a " +
				"connection below HTTP. envoy_meshc_tcp_client_failures has those that did not get there.", perSecond, lines,
			[]query{{counted(m, "tcp_server_failures", "error_type", chosen) + " or " +
				counted(m, "tcp_client_failures", "error_type", chosen) + " or vector(0)", "{{error_type}}"}},
		},
	}
}

// linePanels name lines of the spec.
func linePanels(m *ir.Mesh, chosen string) []panel {
	const route = "http_route, source, service_version"
	return []panel{
		{"Routes", "envoy_meshc_http_client_requests by route; source is the line of the spec that it was written at, which " +
			"meshc describe and meshc try name too.", count, list, []query{
			{counted(m, "http_client_requests", route, chosen), "requests/s"},
			{counted(m, "http_client_requests", route, chosen+`, http_response_status_class=~"5xx|none"`), "failing/s"},
		}},
		{
			"Rules", "envoy_meshc_http_server_requests by the rule that let them in, and the line of the spec where it is.", count, list,
			[]query{{counted(m, "http_server_requests", "rule", chosen), "requests/s"}},
		},
	}
}

// trafficPanels are retries, bytes and connections.
func trafficPanels(m *ir.Mesh, chosen, by, legend string) []panel {
	return []panel{
		{
			"Retries", "envoy_meshc_http_client_attempts without envoy_meshc_http_client_requests: tries beyond the first. Many of " +
				"them load a callee that is not well; meshc describe shows its retry budget.", perSecond, lines,
			[]query{{fmt.Sprintf("clamp_min(%s - %s, 0)", counted(m, "http_client_attempts", by, chosen),
				counted(m, "http_client_requests", by, chosen)), legend}},
		},
		{"Bytes of bodies", "envoy_meshc_http_client_request_bytes and response_bytes, a second.", bytesRate, lines, []query{
			{counted(m, "http_client_request_bytes", "", chosen), "requests"},
			{counted(m, "http_client_response_bytes", "", chosen), "responses"},
		}},
		{
			"Connections below HTTP", "meshc:edge_connections:rate5m: connections that end, a second. meshc:edge_requests has those " +
				"with requests.", count, lines,
			[]query{{summed(by, recorded(m, "meshc:edge_connections:rate5m", chosen)), legend}},
		},
	}
}
