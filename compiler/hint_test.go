package compiler_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/meshc/meshc/compiler/diag"
)

// TestHints follows the hint of each finding that there is in testdata/wrong, as a reader does who understands no more
// than its words: the finding is gone then, and there is none that was not there before. Hints that say what is meant
// in other words than those of a spec are followed in the files below right/ of the same archive, where all hints are
// followed at once. Each code that has hints has one that is followed.
func TestHints(t *testing.T) {
	files, err := filepath.Glob("../testdata/wrong/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	hinted, followed := map[diag.Code]string{}, map[diag.Code]bool{}
	t.Run("specs", func(t *testing.T) {
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".txtar")
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				archive, err := txtar.ParseFile(file)
				if err != nil {
					t.Fatal(err)
				}
				spec, right := split(archive)
				found := compileFiles(t, spec)
				var rightly diag.List
				if right != nil {
					rightly = compileFiles(t, right)
					if n := added(found, rightly); len(n) > 0 {
						t.Errorf("right/ has findings that are new: %q", n)
					}
				}
				for _, d := range found {
					if d.Hint == "" {
						continue
					}
					ok := right != nil &&
						!slices.ContainsFunc(rightly, func(other diag.Diagnostic) bool { return same(d, other) })
					if !ok {
						var failed []string
						if ok, failed = follow(t, spec, found, d); len(failed) > 0 {
							t.Errorf("%s: %s %s\nhint: %s\nand then:\n  %s", d.Positions[0], d.Code, d.Message, d.Hint,
								strings.Join(failed, "\n  "))
						}
					}
					mu.Lock()
					hinted[d.Code] = name
					followed[d.Code] = followed[d.Code] || ok
					mu.Unlock()
				}
			})
		}
	})
	for _, code := range slices.Sorted(maps.Keys(hinted)) {
		if !followed[code] {
			t.Errorf("no hint of %s is followed: write what it leads to into right/ of %s", code, hinted[code])
		}
	}
}

// split are the files of a spec, and those of the one that its hints lead to; nil for none.
func split(archive *txtar.Archive) (spec, right map[string]string) {
	spec = map[string]string{}
	for _, f := range archive.Files {
		if name, ok := strings.CutPrefix(f.Name, "right/"); ok {
			if right == nil {
				right = map[string]string{}
			}
			right[name] = string(f.Data)
		} else if f.Name != "stderr" {
			spec[f.Name] = string(f.Data)
		}
	}
	if right != nil {
		for name, text := range spec {
			if changed, ok := right[name]; !ok {
				right[name] = text
			} else if changed == "" {
				delete(right, name)
			}
		}
	}
	return spec, right
}

// follow follows the ways that a hint gives, which all have to lead to a spec without the finding. It reports whether
// there are any, and what is found on those that do not.
func follow(t *testing.T, spec map[string]string, found diag.List, d diag.Diagnostic) (ok bool, failed []string) {
	t.Helper()
	if len(d.Positions) == 0 || open(spec, d.Positions[0]) == nil {
		return false, nil
	}
	for _, meant := range alternatives(d) {
		var wrong []string
		good := slices.ContainsFunc(meant, func(e edit) bool {
			s := open(spec, d.Positions[0])
			if s == nil || !e(s) {
				return false
			}
			text := s.print(spec)
			if text == nil {
				return false
			}
			after := compileFiles(t, text)
			if slices.ContainsFunc(after, func(other diag.Diagnostic) bool { return same(d, other) }) {
				wrong = append(wrong, "it is still there")
				return false
			}
			n := added(found, after)
			wrong = append(wrong, n...)
			return len(n) == 0
		})
		if good {
			ok = true
		} else {
			failed = append(failed, append(wrong, "it cannot be followed here")[0])
		}
	}
	return ok && len(failed) == 0, failed
}

// same reports whether two findings say the same of the same field.
func same(a, b diag.Diagnostic) bool {
	return a.Code == b.Code && a.Message == b.Message && a.Path == b.Path
}

// added are the findings that were not there before.
func added(before, after diag.List) (out []string) {
	left := map[string]int{}
	text := func(d diag.Diagnostic) string { return fmt.Sprintf("%s %s", d.Code, d.Message) }
	for _, d := range before {
		left[text(d)]++
	}
	for _, d := range after {
		if left[text(d)]--; left[text(d)] < 0 {
			out = append(out, text(d))
		}
	}
	return out
}
