package review

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// metricsOf is where the metrics of a member's proxy are read, and by whom.
func metricsOf(m *ir.Mesh, p *ir.Proxy) []Setting {
	if p.MetricsPort == 0 {
		return nil
	}
	text := fmt.Sprintf("GET /metrics on port %d", p.MetricsPort)
	s := m.ReadFrom()
	if s == nil {
		return []Setting{{"metrics", text + " of loopback", m.Metrics.Pos.String()}}
	}
	if s.Namespace != "" {
		text += ", by pods of " + s.Namespace
	}
	for _, label := range slices.Sorted(maps.Keys(s.Pods)) {
		text += fmt.Sprintf(" %s=%s", label, s.Pods[label])
	}
	var ranges []string
	for _, r := range s.IPRanges {
		ranges = append(ranges, r.String())
	}
	if ranges != nil {
		text += ", from " + strings.Join(ranges, " or ")
	}
	if !s.Identity.IsZero() {
		text += ", over mutual TLS by " + s.Identity.String()
	}
	return []Setting{{"metrics", text, s.Pos.String()}}
}
