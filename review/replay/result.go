package replay

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/review/logs"
)

// Result is what a mesh would do with the requests of a log.
type Result struct {
	// Requests and Connections are how many there were, each counted once, and Unread the lines that are not of one.
	Requests    int `json:"requests"`
	Connections int `json:"connections"`
	Unread      int `json:"unread"`
	// Counts are how many of both changed how.
	Counts map[Change]int `json:"counts"`
	// Groups are those that changed, the worst first.
	Groups []Group `json:"groups"`
}

// Group are requests of one caller to one callee of which the same is to be said.
type Group struct {
	Change   Change `json:"change"`
	Requests int    `json:"requests"`
	Caller   string `json:"caller,omitempty"`
	// Who is the caller in short, as the mesh names it.
	Who    string `json:"who,omitempty"`
	Callee string `json:"callee,omitempty"`
	Port   string `json:"port,omitempty"`
	// Then is what happened, and Why what would.
	Then string `json:"then,omitempty"`
	Why  string `json:"why"`
	// Example is one of the requests, and Paths how many they have.
	Example string `json:"example"`
	Paths   int    `json:"paths,omitempty"`
	// Steps are what decides about the example, with their places in the spec, and Write what lets it in.
	Steps []string `json:"steps,omitempty"`
	Write string   `json:"write,omitempty"`

	paths map[string]bool
}

type groupKey struct {
	change               Change
	caller, callee, port string
	then, why            string
}

func (r *Result) add(c Change, kind string, n int) {
	if r.Counts == nil {
		r.Counts = map[Change]int{}
	}
	r.Counts[c] += n
	if strings.HasPrefix(kind, "tcp.") {
		r.Connections += n
		return
	}
	r.Requests += n
}

// add counts requests. The example is the first by the alphabet, so that it is the same each time.
func (g *Group) add(m *ir.Mesh, line *logs.Line, n int, v verdict) {
	g.Requests += n
	if g.paths == nil {
		g.paths = map[string]bool{}
	}
	g.paths[line.Path] = true
	g.Paths = len(g.paths)
	example := strings.TrimSpace(line.Method + " " + line.Host + line.Path)
	if line.Method == "" {
		example = fmt.Sprintf("a connection to %s:%s", line.Callee, line.Port)
	}
	if g.Example != "" && (g.Example < example || g.Example == example && g.Why+g.Then <= v.why+v.then) {
		return
	}
	g.Example, g.Then, g.Why, g.Steps, g.Write = example, v.then, v.why, nil, ""
	if v.request == nil {
		return
	}
	trial, err := try.Try(m, *v.request)
	if err != nil {
		return // which its outcomes would have said
	}
	for _, s := range trial.Steps {
		if s.Timing || !s.Pos.IsValid() {
			continue
		}
		g.Steps = append(g.Steps, fmt.Sprintf("%s: %s %s", s.Pos, s.At, s.Does))
	}
	if v.change == Denied {
		g.Write = trial.Write
	}
}

// Good reports whether each request would surely end as before, or be let in.
func (r *Result) Good() bool {
	return r.Counts[Denied]+r.Counts[Routed]+r.Counts[Undecided]+r.Counts[Unknown] == 0
}

// titles are the changes in words, with how many requests they are.
var titles = []struct {
	change Change
	words  string
}{
	{Denied, "would be denied"},
	{Routed, "would go elsewhere"},
	{Undecided, "cannot be decided by the log alone"},
	{Allowed, "would be let in, refused before"},
	{Unknown, "of callers or callees that the mesh does not have"},
	{Same, "would end as before"},
}

// Text writes the result for people, with as many groups of each change as are wanted.
func (r *Result) Text(w io.Writer, most int) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s", number(r.Requests, "request"), number(r.Connections, "connection"))
	if r.Unread > 0 {
		fmt.Fprintf(&b, "; %s left out", number(r.Unread, "other line"))
	}
	b.WriteByte('\n')
	for _, t := range titles {
		if n := r.Counts[t.change]; n > 0 {
			fmt.Fprintf(&b, "%9d %s\n", n, t.words)
		}
	}
	shown := map[Change]int{}
	for i := range r.Groups {
		g := &r.Groups[i]
		if shown[g.Change]++; shown[g.Change] <= most {
			g.text(&b)
		}
	}
	for _, t := range titles {
		if n := shown[t.change] - most; n > 0 {
			fmt.Fprintf(&b, "\nand %s of those that %s (--examples)\n", number(n, "further group"), t.words)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func number(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}

func (g *Group) text(b *strings.Builder) {
	for _, t := range titles {
		if t.change == g.Change {
			fmt.Fprintf(b, "\n%s → %s:%s: %d %s\n", diag.Printable(g.Who), cmp.Or(diag.Printable(g.Callee), "(no callee)"),
				cmp.Or(diag.Printable(g.Port), "-"), g.Requests, t.words)
		}
	}
	fmt.Fprintf(b, "  %s", diag.Printable(g.Example))
	if g.Paths > 1 {
		fmt.Fprintf(b, ", and %s", number(g.Paths-1, "other path"))
	}
	b.WriteByte('\n')
	if g.Then != "" {
		fmt.Fprintf(b, "    then: %s\n", diag.Printable(g.Then))
	}
	fmt.Fprintf(b, "    now:  %s\n", diag.Printable(g.Why))
	for _, s := range g.Steps {
		fmt.Fprintf(b, "    %s\n", diag.Printable(s))
	}
	if g.Write != "" {
		fmt.Fprintf(b, "    to let it in: %s\n", diag.Printable(g.Write))
	}
}
