package render_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/review/diff"
)

// kindsFile says for each field of the language of what kinds the effects of a change of it are. Whoever adds a field
// decides it there: what a gate does not stop by its kind, nobody looks at.
var kindsFile = filepath.Join("testdata", "kinds.txt")

// kinds are those of the effects, in the order of [diff.Kinds].
func kinds(d *diff.Difference) string {
	var out []string
	for _, k := range diff.Kinds() {
		if slices.ContainsFunc(d.Effects, func(e *diff.Effect) bool { return e.Kind == k }) {
			out = append(out, string(k))
		}
	}
	return strings.Join(out, ", ")
}

// keepKinds compares the kinds by field with the file, or writes it.
func keepKinds(t *testing.T, kinds map[string]string) {
	t.Helper()
	var b strings.Builder
	for _, field := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Fprintf(&b, "%s: %s\n", field, kinds[field])
	}
	if *update {
		if err := os.WriteFile(kindsFile, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	data, err := os.ReadFile(kindsFile)
	if err != nil {
		t.Fatal(err)
	}
	was := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		was[line] = true
	}
	for line := range strings.Lines(b.String()) {
		if !was[line] {
			t.Errorf("%s (which -update writes) does not say: %s", kindsFile, line)
		}
	}
}
