package observability

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	promquery "github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/manifest"
)

//lint:file-ignore SA1019 Grafana's provisioning of files and its sidecar read this form of dashboards

// Dashboards is where the dashboards are, below [Directory].
const Dashboards = "dashboards"

// board is a dashboard of Grafana.
type board struct {
	// name is that of its file, and title the one that people see, after that of the mesh.
	name, title string
	variables   []variable
	rows        []row
}

// variable is something that its reader chooses: a value of a label.
type variable struct {
	name, query, pattern string
	// all reports whether all values may be chosen at once; they are by default.
	all bool
}

// row is panels below a title.
type row struct {
	title  string
	panels []panel
}

// panel shows queries. Its description names the metric, and says what to do by it.
type panel struct {
	title, description, unit string
	show                     show
	queries                  []query
}

// query is one of Prometheus; legend is how its series are named.
type query struct{ expr, legend string }

// show is how a panel shows its queries.
type show int

const (
	lines  show = iota // over time, a third of the width
	number             // the value of now, a sixth of the width
	list               // a table of the values of now, the full width
)

// Units of Grafana.
const (
	perSecond = "reqps"
	share     = "percentunit"
	millis    = "ms"
	seconds   = "s"
	count     = "short"
	bytesRate = "Bps"
	size      = "bytes"
)

// datasource is the Prometheus that the reader of a dashboard chooses.
func datasource() common.DataSourceRef {
	kind, chosen := "prometheus", "${datasource}"
	return common.DataSourceRef{Type: &kind, Uid: &chosen}
}

// dashboards are the files of all, and where the mesh has pods the ConfigMaps by which Grafana's sidecar finds them.
func dashboards(m *ir.Mesh) ([]manifest.File, error) {
	var out []manifest.File
	var configs []any
	for _, b := range []board{meshBoard(m), serviceBoard(m), edgeBoard(m), controlPlaneBoard(m)} {
		d, err := b.build(m)
		if err != nil {
			return nil, err
		}
		data, err := json.MarshalIndent(d, "", "  ")
		if err != nil {
			return nil, err
		}
		data = append(data, '\n')
		out = append(out, manifest.File{Path: path.Join(Directory, Dashboards, b.name+".json"), Data: data})
		configs = append(configs, dashboardConfig(m, b.name, string(data)))
	}
	if !inCluster(m) {
		return out, nil
	}
	f, err := manifest.YAMLFile(path.Join(Directory, "dashboards.yaml"), configs...)
	return append(out, f), err
}

// dashboardConfig is a dashboard for the sidecar that Grafana's Helm charts run beside it, which looks for that label.
func dashboardConfig(m *ir.Mesh, name, text string) any {
	of := metadataOf(m, "meshc-"+m.Name+"-"+name)
	of.Labels["grafana_dashboard"] = "1"
	return map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": of,
		"data": map[string]string{"meshc-" + m.Name + "-" + name + ".json": text},
	}
}

// uid is the name of a dashboard in its address, of at most 40 characters: other meshes have others.
func uid(m *ir.Mesh, name string) string {
	sum := sha256.Sum256([]byte(m.Name))
	return "meshc-" + hex.EncodeToString(sum[:4]) + "-" + name
}

func (b *board) build(m *ir.Mesh) (dashboard.Dashboard, error) {
	out := dashboard.NewDashboardBuilder("Mesh "+m.Name+": "+b.title).Uid(uid(m, b.name)).
		Tags([]string{"meshc", m.Name}).Readonly().Refresh("30s").Time("now-1h", "now").Timezone("browser").
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Link(dashboard.NewDashboardLinkBuilder("Mesh " + m.Name).Type(dashboard.DashboardLinkTypeDashboards).
			Tags([]string{"meshc", m.Name}).KeepTime(true)).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Prometheus").Type("prometheus"))
	for _, v := range b.variables {
		out = out.WithVariable(v.build())
	}
	for _, r := range b.rows {
		out = out.WithRow(dashboard.NewRowBuilder(r.title))
		for i := range r.panels {
			out = out.WithPanel(r.panels[i].build())
		}
	}
	return out.Build()
}

func (v *variable) build() cog.Builder[dashboard.VariableModel] {
	text := "label_values(" + v.query + ")"
	out := dashboard.NewQueryVariableBuilder(v.name).Datasource(datasource()).
		Query(dashboard.StringOrMap{String: &text}).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortAlphabeticalAsc)
	if v.pattern != "" {
		out = out.Regex(v.pattern)
	}
	if v.all {
		all, value := "All", "$__all"
		out = out.IncludeAll(true).AllValue(".*").Current(dashboard.VariableOption{
			Text: dashboard.StringOrArrayOfString{String: &all}, Value: dashboard.StringOrArrayOfString{String: &value},
		})
	}
	return out
}

func (p *panel) build() cog.Builder[dashboard.Panel] {
	var targets []cog.Builder[variants.Dataquery]
	for i, q := range p.queries {
		one := promquery.NewDataqueryBuilder().Datasource(datasource()).Expr(q.expr).RefId(string(rune('A' + i)))
		if q.legend != "" {
			one = one.LegendFormat(q.legend)
		}
		switch p.show {
		case list:
			one = one.Instant().Format(promquery.PromQueryFormatTable)
		case number:
			one = one.Instant()
		case lines:
			one = one.Range()
		}
		targets = append(targets, one)
	}
	switch p.show {
	case number:
		return stat.NewPanelBuilder().Title(p.title).Description(p.description).Unit(p.unit).Datasource(datasource()).
			Targets(targets).Height(4).Span(4).
			ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}))
	case list:
		return table.NewPanelBuilder().Title(p.title).Description(p.description).Unit(p.unit).Datasource(datasource()).
			Targets(targets).Height(9).Span(24).
			Footer(common.NewTableFooterOptionsBuilder().Show(false).Reducer([]string{})).
			WithTransformation(dashboard.DataTransformerConfig{Id: "merge", Options: map[string]any{}}).
			WithTransformation(p.columns())
	default:
		return timeseries.NewPanelBuilder().Title(p.title).Description(p.description).Unit(p.unit).
			Datasource(datasource()).Targets(targets).Height(8).Span(8).Min(0).
			Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).
				Placement(common.LegendPlacementBottom).ShowLegend(true).Calcs([]string{})).
			Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).
				Sort(common.SortOrderDescending))
	}
}

// columns names the values of a table after what they are, and leaves out the time.
func (p *panel) columns() dashboard.DataTransformerConfig {
	names := map[string]string{}
	for i, q := range p.queries {
		name := "Value #" + string(rune('A'+i))
		if len(p.queries) == 1 {
			name = "Value"
		}
		names[name] = q.legend
	}
	return dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{
		"excludeByName": map[string]bool{"Time": true}, "renameByName": names,
	}}
}
