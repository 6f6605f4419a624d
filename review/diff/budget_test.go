package diff

import (
	"fmt"
	"strings"
	"testing"
)

// TestItSaysWhereItStopped compares meshes with more sorts of request than anybody can try: rules that each ask for
// headers of their own. Whatever its steps are, it ends, and says where it did not look at everything.
func TestItSaysWhereItStopped(t *testing.T) {
	spec := func(last string) string {
		var rules strings.Builder
		for i := range 40 {
			var headers []string
			for j := range 8 {
				headers = append(headers, fmt.Sprintf(`"x-%d-%d": exact: "v%d"`, i, j, i))
			}
			if i == 39 {
				headers[7] = last
			}
			fmt.Fprintf(&rules, "{from: services: [\"b\", \"c\"], headers: {%s}},\n", strings.Join(headers, ", "))
		}
		return `package shop

mesh: {name: "shop", trustDomain: "shop.example"}
services: a: {workload: deployment: "a", ports: http: {port: 80, protocol: "http"}, allow: [` + rules.String() + `]}
services: b: {workload: deployment: "b", uses: a: {}}
services: c: {workload: deployment: "c", uses: a: {}}
`
	}
	before, after := compiled(t, t.TempDir(), spec(`"x-last": exact: "1"`)),
		compiled(t, t.TempDir(), spec(`"x-last": exact: "2"`))
	for _, steps := range []int{0, 1 << 16, 1 << 24} {
		if d := compareWithin(steps, before, after); len(d.Missed) == 0 || d.Empty() {
			t.Errorf("in %d steps it looked at everything, or does not say that it did not", steps)
		}
	}
	if d := Of(before, before); len(d.Missed) > 0 || len(d.Effects) > 0 {
		t.Errorf("a mesh differs from itself: %v", d.Missed)
	}
}
