package observability

import (
	"fmt"

	"github.com/meshc/meshc/compiler/ir"
)

// controlPlaneBoard is meshc serve and the proxies. Without a server it is the proxies.
func controlPlaneBoard(m *ir.Mesh) board {
	b := board{name: "control-plane", title: "control plane and proxies"}
	if m.Delivery == ir.DeliveryXDS {
		b.rows = []row{{"meshc serve", serverNow(m)}, {"Changes", serverChanges(m)}, {"Limits and resources", serverLimits(m)}}
	}
	b.rows = append(b.rows, row{"Proxies", proxyPanels(m)})
	return b
}

func serverNow(m *ir.Mesh) []panel {
	now := func(title, metric, text string) panel {
		return panel{title, metric + ": " + text, count, number, []query{{summed("", recorded(m, metric, "")), ""}}}
	}
	return []panel{
		now("Connected proxies", "meshc_connected_proxies", "if it falls, look at the alert MeshProxyNotConnected."),
		now("Behind", "meshc_proxies_behind", "proxies that have not answered what they were sent. meshc status names them."),
		now("Refusing", "meshc_proxies_refusing", "proxies that have refused a resource. meshc status has the line that caused it."),
		now("Stale", "meshc_mesh_stale", "servers that refuse the mesh that they are to serve. Run meshc vet on it."),
		{
			"Meshes", "meshc_mesh_info: how many different meshes the servers have. More than one lasts while a change comes.", count,
			number,
			[]query{{"count(count by (hash) (" + recorded(m, "meshc_mesh_info", "") + "))", ""}},
		},
		now("Taps", "meshc_taps", "operators who look at requests now. Who they are is in the log of meshc serve."),
	}
}

func serverChanges(m *ir.Mesh) []panel {
	grows := func(by, name string) string {
		return summed(by, "rate("+recorded(m, name, "")+"[5m])")
	}
	return []panel{
		{
			"Answers of proxies", "meshc_acks_total and meshc_nacks_total by type, a second. A refusal is told by meshc status.", count,
			lines,
			[]query{
				{grows("type", "meshc_acks_total"), "taken {{type}}"},
				{fmt.Sprintf("%s or vector(0)", grows("", "meshc_nacks_total")), "refused"},
			},
		},
		{"Time to push", "meshc_push_seconds: to render what a proxy is served and to hand it over, at p50 and p99. It grows with " +
			"the edges of a member.", seconds, lines, []query{
			{"histogram_quantile(0.5, " + grows("le", "meshc_push_seconds_bucket") + ")", "p50"},
			{"histogram_quantile(0.99, " + grows("le", "meshc_push_seconds_bucket") + ")", "p99"},
		}},
		{
			"Time to acknowledge", "meshc_propagation_seconds: from a change until a proxy has acknowledged it, at p99 by type.", seconds,
			lines,
			[]query{
				{"histogram_quantile(0.99, " + grows("le, type", "meshc_propagation_seconds_bucket") + ")", "{{type}}"},
			},
		},
		{
			"Age", "meshc_unacknowledged_seconds: the oldest change that a proxy has not acknowledged, by type, and " +
				"meshc_source_age_seconds: the last message of each source. Some sources tell changes only.", seconds, lines,
			[]query{
				{"max by (type) (" + recorded(m, "meshc_unacknowledged_seconds", "") + ")", "{{type}}"},
				{"max by (source) (" + recorded(m, "meshc_source_age_seconds", "") + ")", "{{source}}"},
			},
		},
		{
			"Meshes loaded", "meshc_reloads_total by result, and meshc_pushes_total: changes of what a proxy is served, a second.", count,
			lines,
			[]query{
				{grows("result", "meshc_reloads_total"), "{{result}}"},
				{grows("", "meshc_pushes_total"), "pushes"},
			},
		},
	}
}

func serverLimits(m *ir.Mesh) []panel {
	beyond := query{
		"sum by (__name__) (" + recorded(m, `{__name__=~"meshc_.+_(limited|omitted|refused)_total", `, "") + ")",
		"{{__name__}}",
	}
	server := func(name string) string { return recorded(m, name, fmt.Sprintf("job=%q", ServerJob)) }
	return []panel{
		{"Beyond a limit", "All counters of meshc serve that end with limited, omitted or refused, since it started: an identity asks " +
			"for more than it may. mesh.server.limits moves the limits.", count, lines, []query{beyond}},
		{
			"Memory", "process_resident_memory_bytes of each server, and meshc_telemetry_bytes of it for what proxies told.", size, lines,
			[]query{
				{server("process_resident_memory_bytes"), "{{instance}}"},
				{server("meshc_telemetry_bytes"), "reports, {{instance}}"},
			},
		},
		{
			"CPU", "process_cpu_seconds_total of each server. It is high while all proxies connect.", count, lines,
			[]query{{"rate(" + server("process_cpu_seconds_total") + "[5m])", "{{instance}}"}},
		},
	}
}

func proxyPanels(m *ir.Mesh) []panel {
	read := fmt.Sprintf("up{job=%q, mesh=%q}", Job, m.Name)
	out := []panel{
		{
			"Read", "up by member: the share of its proxies whose metrics are read.", share, lines,
			[]query{{"avg by (member) (" + read + ")", "{{member}}"}},
		},
		{
			"Memory", "envoy_server_memory_allocated by member: the largest proxy. It grows with edges, routes and connections.", size,
			lines,
			[]query{{"max by (member) (" + recorded(m, "envoy_server_memory_allocated", "") + ")", "{{member}}"}},
		},
		{
			"Series that were dropped", "envoy_server_stats_overflow_counter by member, in 15 minutes: a proxy has reached a bound on its " +
				"series (alert MeshSeriesDropped).", count, lines,
			[]query{{"sum by (member) (increase(" + recorded(m, "envoy_server_stats_overflow_counter", "") + "[15m]))", "{{member}}"}},
		},
	}
	if m.Delivery != ir.DeliveryXDS {
		return out
	}
	return append(out, panel{
		"Connected to meshc serve", "envoy_control_plane_connected_state by member: the share of its proxies that " +
			"are. Others keep the configuration that they have.", share, lines,
		[]query{{"avg by (member) (" + recorded(m, "envoy_control_plane_connected_state", "") + ")", "{{member}}"}},
	})
}
