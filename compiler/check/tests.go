package check

import (
	"fmt"
	"strings"

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
			WithHint("each step of it: %s", command(&request)))
	}
	return found
}

// command is how meshc try is asked for the request, in a shell.
func command(r *try.Request) string {
	var out strings.Builder
	from := r.From.Name
	if r.From.Kind == ir.KindGateway {
		from = "gateway:" + from
	}
	fmt.Fprintf(&out, "meshc try --from %s %s %s", from, r.Method, quoted(fmt.Sprintf("%s://%s:%d%s", r.Scheme, r.Host, r.Port, r.Path)))
	for _, h := range r.Headers {
		fmt.Fprintf(&out, " -H %s", quoted(h.Name+": "+h.Value))
	}
	if r.Token != nil {
		if r.Token.Claims["iss"] != nil {
			fmt.Fprintf(&out, " --jwt-issuer %s", r.Token.Issuer)
		}
		for _, claim := range r.Token.Names() {
			fmt.Fprintf(&out, " --jwt %s", quoted(claim+"="+r.Token.Claims[claim][0]))
		}
	}
	return out.String()
}

// quoted is a word of the shell.
func quoted(text string) string {
	if text != "" && !strings.ContainsFunc(text, func(c rune) bool { return !strings.ContainsRune(plain, c) }) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/._-=,@%+"
