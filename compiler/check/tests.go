package check

import (
	"fmt"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/try"
)

// tests puts the requests of the spec's tests to the mesh, and finds those that end otherwise than is expected. A test whose
// outcome depends on more than the mesh is left to real proxies.
func tests(m *ir.Mesh) diag.List {
	var found diag.List
	for _, t := range m.Tests {
		path := fmt.Sprintf("tests.%q", t.Title)
		request := try.OfTest(t)
		trial, err := try.Try(m, request)
		if err != nil {
			found.Add(diag.New(diag.TestFails, path, fmt.Sprintf("the test %q cannot be sent: %v", t.Title, err), t.Pos))
			continue
		}
		became := trial.Differs(&t.Expect)
		if became == "" || len(trial.Undecided) > 0 {
			continue
		}
		positions := []source.Position{t.Expect.Pos}
		if n := len(trial.Steps); n > 0 {
			positions = append(positions, trial.Steps[n-1].Pos)
		}
		found.Add(diag.New(diag.TestFails, path, fmt.Sprintf("the test %q fails: the request %s", t.Title, became), positions...).
			WithHint("each step of it: %s", request.Command()))
	}
	return found
}
