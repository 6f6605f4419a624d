package observability

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// objective is one promise about the requests of a service or of an edge.
type objective struct {
	// name tells it among those of the service or edge: "availability", "latency 300ms".
	name string
	// selects are the labels of the series that count its requests, whose are the words for whose requests they are.
	selects map[string]string
	whose   string
	// member is the part of the spec that promises, as meshc describe names it.
	member ir.Ref
	// within is the time of an objective of latency; 0 for availability.
	within ir.Duration
	// budget is the part that may fail: 0.001 for 99.9 percent.
	budget float64
	// explain is the command that shows what fails.
	explain string
	pos     source.Position
}

// burn is how fast a budget is used up at which an alert fires: both in the long window, so that it is worth one, and
// in the short one, so that it ends soon after its cause. The numbers are those of Google's Site Reliability Workbook
// (chapter 5, "Alerting on SLOs").
type burn struct {
	long, short string
	rate        float64
}

// objectiveAlerts are those of each objective. The first use up 2 % of the budget of 30 days in an hour, or 5 % in six;
// the others 10 % in one day, or in three.
var objectiveAlerts = []struct {
	name, severity, speed string
	burns                 [2]burn
}{
	{"MeshErrorBudgetBurnsFast", "critical", "within days", [2]burn{{"1h", "5m", 14.4}, {"6h", "30m", 6}}},
	{"MeshErrorBudgetBurns", "warning", "within the month", [2]burn{{"1d", "2h", 3}, {"3d", "6h", 1}}},
}

// Windows of the recorded shares, and how often they are evaluated: a share of days does not change in a minute, and
// takes Prometheus long.
var (
	shortWindows = []string{"5m", "30m", "1h", "2h"}
	longWindows  = []string{"6h", "1d", "3d"}
)

const (
	shortInterval = "30s"
	longInterval  = "3m"
)

// objectiveGroups are the rules about the objectives of a mesh; none where it has none.
func objectiveGroups(m *ir.Mesh) []group {
	all := objectives(m)
	if all == nil {
		return nil
	}
	short := group{Name: "meshc-" + m.Name + "-objectives", Interval: shortInterval}
	long := group{Name: "meshc-" + m.Name + "-objectives-of-days", Interval: longInterval}
	for i := range all {
		o := &all[i]
		for _, w := range shortWindows {
			short.Rules = append(short.Rules, o.record(m, w))
		}
		for _, w := range longWindows {
			long.Rules = append(long.Rules, o.record(m, w))
		}
		short.Rules = append(short.Rules, o.alerts(m)...)
	}
	return []group{short, long}
}

// objectives are all of a mesh: of services and their edges, then of the edges of gateways, each by name.
func objectives(m *ir.Mesh) []objective {
	var out []objective
	add := func(o *ir.Objectives, of objective, latency string) {
		if o == nil {
			return
		}
		of.selects["mesh"] = m.Name
		if a := o.Availability; a != nil {
			one := of
			one.name, one.budget, one.pos = "availability", budget(a.Value), a.Pos
			one.explain = "meshc top --by failure --last 15m"
			out = append(out, one)
		}
		for _, l := range o.Latency {
			one := of
			one.name, one.within, one.budget, one.pos = "latency "+l.Within.String(), l.Within, budget(l.Percent), l.Pos
			one.explain = latency
			out = append(out, one)
		}
	}
	edges := func(member ir.Ref, identity string, uses []ir.Use) {
		for i := range uses {
			use := &uses[i]
			callee := use.To
			if !use.External {
				callee = m.Service(use.To).QualifiedName()
			}
			add(use.Objectives, objective{
				selects: map[string]string{"callee": callee, "caller": identity}, member: member,
				whose: fmt.Sprintf("%s to %s", ir.PlainName(member.Name), use.To),
			}, "meshc top --last 15m")
		}
	}
	for _, s := range m.Services {
		add(s.Objectives, objective{
			selects: map[string]string{"callee": s.QualifiedName()}, member: ir.ServiceRef(s.Name), whose: s.Name,
		}, "meshc top --by callee --last 15m")
		edges(ir.ServiceRef(s.Name), s.Identity.String(), s.Uses)
	}
	for _, g := range m.Gateways {
		edges(ir.GatewayRef(g.Name), g.Identity.String(), g.Uses)
	}
	return out
}

// budget is what an objective in percent leaves, rounded so that 99.9 leaves 0.001.
func budget(percent float64) float64 {
	left, err := strconv.ParseFloat(strconv.FormatFloat((100-percent)/100, 'g', 9, 64), 64)
	if err != nil {
		return (100 - percent) / 100
	}
	return left
}

// labels of all that is recorded and told of an objective.
func (o *objective) labels() map[string]string {
	out := map[string]string{"objective": o.name}
	for name, value := range o.selects {
		out[name] = value
	}
	return out
}

// record is the share of the requests of a window that were not as promised: 0 where all were, and nothing where there
// were none.
func (o *objective) record(m *ir.Mesh, window string) rule {
	return rule{Record: "meshc:objective_errors:ratio_rate" + window, Expr: o.share(window), Labels: o.labels()}
}

func (o *objective) share(window string) string {
	if o.within == 0 {
		all := rate("http_client_requests", "", selector(o.selects), window)
		return fmt.Sprintf("(%s) / (%s > 0)", failing("", selector(o.selects), window, "vector(0)"), all)
	}
	// A proxy that runs with an older bootstrap has no such bucket, and tells nothing of the objective.
	of := selector(o.selects)
	under := fmt.Sprintf("rate(envoy_meshc_http_client_request_duration_bucket{%s, le=~\"%s([.]0)?\"}[%s])", of,
		strings.ReplaceAll(o.within.Bucket(), ".", "[.]"), window)
	all := fmt.Sprintf("sum(rate(envoy_meshc_http_client_request_duration_count{%s}[%s]) and ignoring (le) %s)", of, window, under)
	return fmt.Sprintf("1 - sum(%s) / (%s > 0)", under, all)
}

// alerts of the objective, but for those that could not fire if every request failed.
func (o *objective) alerts(m *ir.Mesh) []rule {
	var out []rule
	recorded := o.labels()
	if _, edge := recorded["caller"]; !edge { // not what is recorded of a caller's own objective
		recorded["caller"] = ""
	}
	of := selector(recorded)
	for _, a := range objectiveAlerts {
		var when []string
		for _, b := range a.burns {
			most, err := strconv.ParseFloat(strconv.FormatFloat(b.rate*o.budget, 'g', 9, 64), 64)
			if err != nil || most >= 1 {
				continue
			}
			over := func(window string) string {
				return fmt.Sprintf("meshc:objective_errors:ratio_rate%s{%s} > %v", window, of, most)
			}
			when = append(when, fmt.Sprintf("(%s and %s)", over(b.long), over(b.short)))
		}
		if when == nil {
			continue
		}
		labels := o.labels()
		labels["severity"] = a.severity
		if owners, said := m.OwnersOf(o.pos.File); said && len(owners) > 0 {
			labels["owner"] = strings.Join(owners, " ")
		}
		what := "fail"
		if o.within > 0 {
			what = "take " + o.within.String() + " or longer"
		}
		out = append(out, rule{
			Alert: a.name, Expr: strings.Join(when, " or "), Labels: labels,
			Annotations: map[string]string{
				"summary": fmt.Sprintf("{{ $value | humanizePercentage }} of the requests of %s %s, of which %v %% may: "+
					"at this rate the budget of 30 days is used up %s", o.whose, what, o.budget*100, a.speed),
				"source": o.pos.String(), "explain": o.explain,
				"describe":    "meshc describe " + string(o.member.Kind) + " " + o.member.Name,
				"runbook_url": runbook(a.name),
			},
		})
	}
	return out
}
