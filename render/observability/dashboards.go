package observability

import (
	"fmt"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// inNamespace selects callees of the namespaces that the reader has chosen, and externals where it is all of them.
const inNamespace = `callee=~"(.*[.])?$namespace"`

// namespaceVariable and serviceVariable choose a callee by what is recorded of edges: NAME.NAMESPACE, or an external.
func namespaceVariable(m *ir.Mesh) variable {
	return variable{name: "namespace", query: anyEdge(m, "") + ", callee", pattern: `/^[^.]+[.](.+)$/`, all: true}
}

func serviceVariable(m *ir.Mesh) variable {
	return variable{name: "service", query: anyEdge(m, inNamespace) + ", callee"}
}

func anyEdge(m *ir.Mesh, more string) string {
	return recorded(m, `{__name__=~"meshc:edge_(requests|connections):rate5m", `, more)
}

// meshLabels are the labels of the mesh's series, and more.
func meshLabels(m *ir.Mesh, more string) string {
	if more != "" {
		more = ", " + more
	}
	return selector(map[string]string{"mesh": m.Name}) + more
}

// recorded is a series by its name, or the beginning of its selector.
func recorded(m *ir.Mesh, name, more string) string {
	if name[len(name)-1] == ' ' {
		return name + meshLabels(m, more) + "}"
	}
	return name + "{" + meshLabels(m, more) + "}"
}

// counted is how much a metric of the edges grows in a second.
func counted(m *ir.Mesh, name, by, more string) string {
	return rate(name, by, meshLabels(m, more), "5m")
}

// failedShare is the share of the requests of edges that fail, by labels of the edge.
func failedShare(m *ir.Mesh, by, more string) string {
	requests := recorded(m, "meshc:edge_requests:rate5m", more)
	if by != "" {
		by = "by (" + by + ") "
	}
	return fmt.Sprintf("sum %s(%s * %s) / (sum %s(%s) > 0)", by, recorded(m, "meshc:edge_failures:ratio_rate5m", more),
		requests, by, requests)
}

func summed(by, expr string) string {
	if by == "" {
		return "sum(" + expr + ")"
	}
	return fmt.Sprintf("sum by (%s) (%s)", by, expr)
}

// denied are the requests that rules refuse, and those that applications answer with the same status; and the
// connections below HTTP that rules close.
func denied(m *ir.Mesh, by, more string) string {
	refused := func(kind, status string) string {
		return fmt.Sprintf("rate(envoy_meshc_%s_server_failures{%s}[5m])", kind, meshLabels(m, more+", "+status))
	}
	return summed(by, refused("http", `http_response_status_code="403"`)+" or "+
		refused("http", `rpc_grpc_status_code="7"`)+" or "+
		refused("tcp", fmt.Sprintf("error_type=~%q", strings.Join(ir.Denials, "|"))))
}

// meshBoard is the whole mesh, and its edges.
func meshBoard(m *ir.Mesh) board {
	b := board{name: "mesh", title: "all services", variables: []variable{namespaceVariable(m)}}
	requests := recorded(m, "meshc:edge_requests:rate5m", inNamespace)
	b.rows = []row{{"Now", []panel{
		{"Requests", "meshc:edge_requests:rate5m: all requests a second, each counted once, where its route was chosen. " +
			"If it falls, look which callee lost its callers.", perSecond, number, []query{{summed("", requests), ""}}},
		{
			"Failing", "meshc:edge_failures:ratio_rate5m: the share that fails. Find the callee below, then open its dashboard.",
			share, number,
			[]query{{failedShare(m, "", inNamespace), ""}},
		},
		{
			"Denied", "envoy_meshc_http_server_failures with status 403 and envoy_meshc_tcp_server_failures Denied: requests and " +
				"connections that no rule allows, or one denies. meshc edges names the callers and the line to add.", perSecond, number,
			[]query{{denied(m, "", inNamespace) + " or vector(0)", ""}},
		},
		{
			"Connections", "meshc:edge_connections:rate5m: connections below HTTP that end, a second.", count, number,
			[]query{{summed("", recorded(m, "meshc:edge_connections:rate5m", inNamespace)) + " or vector(0)", ""}},
		},
		{
			"Proxies read", "up: proxies whose metrics are read. Others are told by the alert MeshProxyDown.", count, number,
			[]query{{fmt.Sprintf("sum(up{job=%q, mesh=%q})", Job, m.Name), ""}},
		},
		{
			"Alerts", "ALERTS: alerts of this mesh that fire now. The annotation explain of each is the command to run.", count,
			number,
			[]query{{fmt.Sprintf(`count(ALERTS{%s}) or vector(0)`, meshLabels(m, `alertstate="firing"`)), ""}},
		},
	}}, {"By callee", []panel{
		{
			"Requests", "meshc:edge_requests:rate5m by callee. Open the dashboard of a service for its callers.", perSecond, lines,
			[]query{{summed("callee", requests), "{{callee}}"}},
		},
		{
			"Share that fails", "meshc:edge_failures:ratio_rate5m by callee: statuses 5xx, none at all, and those of gRPC that " +
				"are the server's fault. meshc top --by failure says which.", share, lines,
			[]query{{failedShare(m, "callee", inNamespace), "{{callee}}"}},
		},
		{
			"p99 of the slowest edge", "meshc:edge_duration_milliseconds:p99_5m by callee: find its slow caller or route on the " +
				"dashboard of the service.", millis, lines,
			[]query{{"max by (callee) (" + recorded(m, "meshc:edge_duration_milliseconds:p99_5m", inNamespace) + ")", "{{callee}}"}},
		},
	}}, {"Edges", []panel{
		{"All edges", "The recorded series of each edge, by caller, callee and port. meshc describe shows what is configured " +
			"of it.", count, list, []query{
			{summed(edge, requests), "requests/s"},
			{failedShare(m, edge, inNamespace), "share that fails"},
			{"max by (" + edge + ") (" + recorded(m, "meshc:edge_duration_milliseconds:p95_5m", inNamespace) + ")", "p95 ms"},
		}},
	}}}
	if objectives(m) != nil {
		b.rows = append(b.rows, row{"Objectives", []panel{
			{
				"Share that is not as promised, 1 h", "meshc:objective_errors:ratio_rate1h by objective. The alerts " +
					"MeshErrorBudgetBurns and MeshErrorBudgetBurnsFast name its line in the spec.", share, lines,
				[]query{{recorded(m, "meshc:objective_errors:ratio_rate1h", ""), "{{callee}} {{caller}} {{objective}}"}},
			},
			{
				"Share that is not as promised, 3 days", "meshc:objective_errors:ratio_rate3d by objective.", share, lines,
				[]query{{recorded(m, "meshc:objective_errors:ratio_rate3d", ""), "{{callee}} {{caller}} {{objective}}"}},
			},
		}})
	}
	return b
}

// serviceBoard is one callee with all its callers.
func serviceBoard(m *ir.Mesh) board {
	const one = `callee="$service"`
	return board{
		name: "service", title: "a service", variables: []variable{namespaceVariable(m), serviceVariable(m)},
		rows: []row{
			{"Requests", requestPanels(m, one, "caller", "{{caller}}")},
			{"Why requests fail", failurePanels(m, one)},
			{"Routes and rules", linePanels(m, one)},
			{"Traffic", trafficPanels(m, one, "caller", "{{caller}}")},
		},
	}
}

// edgeBoard is one caller and one callee.
func edgeBoard(m *ir.Mesh) board {
	const one = `callee="$service", caller=~"$caller"`
	caller := variable{name: "caller", query: anyEdge(m, `callee="$service"`) + ", caller", all: true}
	return board{
		name: "edge", title: "an edge", variables: []variable{namespaceVariable(m), serviceVariable(m), caller},
		rows: []row{
			{"Requests", requestPanels(m, one, "server_port", "port {{server_port}}")},
			{"Why requests fail", failurePanels(m, one)},
			{"Routes and rules", linePanels(m, one)},
			{"Traffic", trafficPanels(m, one, "server_port", "port {{server_port}}")},
		},
	}
}
