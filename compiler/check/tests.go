package check

import (
	"fmt"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/try"
)

// tests puts the requests of the spec's tests to the mesh, and finds those that end otherwise than is expected, and
// those of which nobody can say without knowing more than the mesh.
func tests(m *subject) diag.List {
	var found diag.List
	for _, t := range m.Tests {
		path := fmt.Sprintf("tests.%q", t.Title)
		j, err := try.Judge(m.Mesh, t)
		if err != nil {
			found.Add(diag.New(diag.TestFails, path, fmt.Sprintf("the test %q cannot be sent: %v", t.Title, err),
				t.Pos))
			continue
		}
		switch j.Verdict {
		case try.Fails:
			positions := []source.Position{t.Expect.Pos}
			if n := len(j.Trial.Steps); n > 0 {
				positions = append(positions, j.Trial.Steps[n-1].Pos)
			}
			request := try.OfTest(t)
			found.Add(diag.New(diag.TestFails, path, fmt.Sprintf("the test %q fails: the request %s", t.Title,
				j.Trial.Outcome()), positions...).
				WithHint("each step of it: %s", request.Command()))
		case try.Undecided:
			found.Add(diag.New(diag.TestUndecided, path, fmt.Sprintf("the test %q is not decided: it depends on %s",
				t.Title, try.On(j.DependsOn)), t.Expect.Pos).
				WithHint("%s", decides(t, j)))
		}
	}
	return found
}

// decides is what to write so that a test is decided.
func decides(t *ir.Test, j *try.Judgement) string {
	var unless, hints []string
	for _, what := range t.Expect.Unless {
		unless = append(unless, fmt.Sprintf("%q", what))
	}
	known := len(unless)
	split, other := false, false
	for _, c := range j.DependsOn {
		switch c.Kind {
		case try.OnRateLimit, try.OnFault, try.OnAuthorization, try.OnCertificate:
			if name := fmt.Sprintf("%q", c.Kind); !strings.Contains(strings.Join(unless, ","), name) {
				unless = append(unless, name)
			}
		case try.OnSplit:
			split = true
		default:
			other = true
		}
	}
	if len(unless) > known {
		hints = append(hints, fmt.Sprintf(
			"expect: unless: [%s], if the test is about requests that are not refused for that",
			strings.Join(unless, ", ")))
	}
	if split && t.Expect.Version != "" {
		hints = append(hints, "remove version from expect")
	} else if split {
		hints = append(hints, "remove service from expect, or allow the request at all destinations of the route")
	}
	if other {
		request := try.OfTest(t)
		hints = append(hints, "send a request that does not depend on it; its outcomes: "+request.Command())
	}
	return strings.Join(hints, "; and ")
}
