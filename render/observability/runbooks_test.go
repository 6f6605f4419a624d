package observability

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
)

// Each alert has a section of docs/runbooks.md, which its runbook_url names, and each section is of an alert.
func TestEveryAlertHasARunbook(t *testing.T) {
	text, err := os.ReadFile("../../docs/runbooks.md")
	if err != nil {
		t.Fatal(err)
	}
	var sections []string
	for _, m := range regexp.MustCompile(`(?m)^## (\w+)$`).FindAllSubmatch(text, -1) {
		sections = append(sections, string(m[1]))
	}
	m := &ir.Mesh{Settings: ir.Settings{Name: "shop", Delivery: ir.DeliveryXDS}}
	m.Services = []*ir.Service{{Upstream: ir.Upstream{Name: "cart"}}}
	m.Services[0].Objectives = &ir.Objectives{Availability: &ir.Setting[float64]{Value: 99.9}}
	var alerts []string
	for _, g := range rules(m) {
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			alerts = append(alerts, r.Alert)
			_, section, _ := strings.Cut(r.Annotations["runbook_url"], "docs/runbooks.md#")
			if section != strings.ToLower(r.Alert) {
				t.Errorf("the runbook of %s is %q", r.Alert, r.Annotations["runbook_url"])
			}
		}
	}
	slices.Sort(alerts)
	slices.Sort(sections)
	if !slices.Equal(alerts, sections) {
		t.Errorf("there are alerts %v and sections %v", alerts, sections)
	}
}
