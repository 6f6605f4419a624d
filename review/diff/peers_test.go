package diff

import (
	"strings"
	"testing"
)

// A service that comes to use itself is told as its own caller, and not as one outside.
func TestServiceThatUsesItself(t *testing.T) {
	const spec = `package shop

mesh: {name: "shop", trustDomain: "shop.example"}
services: store: {
	workload: statefulSet: "store"
	ports: {db: {port: 5432, protocol: "tcp"}, http: {port: 8080, protocol: "http"}}
	uses: {store: {}}
	allow: [{from: services: ["store"]}]
}
`
	before := compiled(t, t.TempDir(), strings.Replace(spec, "uses: {store: {}}", "", 1))
	after := compiled(t, t.TempDir(), spec)
	told := 0
	for _, e := range Of(before, after).Effects {
		if e.Kind == NewlyAllowed {
			told++
			if got := e.subject(); got != "service store → service store" {
				t.Errorf("the effect is of %q", got)
			}
		}
	}
	if told != 2 {
		t.Errorf("%d calls are newly allowed", told)
	}
}
