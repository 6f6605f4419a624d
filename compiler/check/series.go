package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/series"
	"github.com/meshc/meshc/compiler/source"
)

// mostProxies is how many proxies a finding names.
const mostProxies = 3

// tooManySeries finds proxies whose metrics can have more series than the mesh allows: one finding for all, which names
// the largest.
func tooManySeries(m *subject) diag.List {
	if m.MaxSeries == nil {
		return nil
	}
	limit := int(m.MaxSeries.Value)
	var over []series.Proxy
	for _, p := range series.OfMesh(m.Mesh) {
		if p.Cost().Series > limit {
			over = append(over, p)
		}
	}
	if over == nil {
		return nil
	}
	slices.SortStableFunc(over, func(a, b series.Proxy) int { return b.Cost().Series - a.Cost().Series })
	positions := []source.Position{m.MaxSeries.Pos}
	var names []string
	for _, p := range over[:min(len(over), mostProxies)] {
		positions = append(positions, p.Pos)
		names = append(names, fmt.Sprintf("%s (%s)", p.Of, series.Number(p.Cost().Series)))
	}
	if more := len(over) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	largest := over[0]
	var edges []string
	for _, e := range largest.Largest(mostProxies) {
		edges = append(edges, fmt.Sprintf("%s (%s)", e.To, series.Number(e.Series)))
	}
	cost := largest.Cost()
	return diag.List{diag.New(diag.TooManySeries, "mesh.limits.series",
		fmt.Sprintf("the mesh allows a proxy %s series of metrics, and those of %s can have more: %s of the first count failures, and most others are of %s",
			series.Number(limit), strings.Join(names, ", "), series.Number(cost.Failures),
			strings.Join(edges, ", ")), positions...).
		WithHint("write mesh: limits: series: %d, or take uses, routes, versions or rules out of %s", cost.Series,
			largest.Of)}
}
