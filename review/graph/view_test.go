package graph_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"unicode/utf8"

	"github.com/meshc/meshc/review/graph"
)

// TestViews draws every view of meshes of all sizes: each member is in one at least, each call that a view has both
// ends of is on one line, and no view has more boxes than can be read.
func TestViews(t *testing.T) {
	for _, size := range []struct{ services, namespaces int }{{7, 1}, {60, 5}, {500, 14}, {130, 1}} {
		g := meshOf(size.services, size.namespaces)
		for i, view := range g.Views() {
			if i > 20 && i%17 != 0 {
				continue
			}
			s, err := g.Scene(view, graph.Room{Label: 80, Under: 2})
			if err != nil {
				t.Fatal(err)
			}
			if n := len(s.Boxes); n == 0 || n > 90 {
				t.Errorf("%d services: the view %q has %d boxes", size.services, view, n)
			}
			box := map[string]string{}
			for _, b := range s.Boxes {
				box[b.ID] = b.ID
				for _, id := range b.Members {
					box[id] = b.ID
				}
			}
			lines := map[int]int{}
			for _, l := range s.Lines {
				for _, call := range l.Calls {
					lines[call]++
					if e := g.Edges[call]; box[e.From] != l.From || box[e.To] != l.To {
						t.Errorf("the view %q has the call %s → %s on the line %s → %s", view, e.From, e.To, l.From,
							l.To)
					}
				}
			}
			for call, e := range g.Edges {
				from, to := box[e.From], box[e.To]
				if shown := from != "" && to != "" && (from != to || from == e.From); shown != (lines[call] == 1) {
					t.Errorf("the view %q has the call %s → %s on %d lines", view, e.From, e.To, lines[call])
				}
			}
		}
	}
	if _, err := meshOf(7, 1).Scene("service nobody", graph.Room{}); err == nil {
		t.Error("a view of nobody")
	}
}

// TestLongNamesAreShortened shortens names that no box holds, so that both ends are read.
func TestLongNamesAreShortened(t *testing.T) {
	long := "payments-reconciliation-worker-for-the-northern-region-v2"
	g := &graph.Graph{Mesh: "m", Nodes: []graph.Node{{ID: "service " + long, Kind: "service", Name: long}}}
	s, err := g.Scene(graph.Overview, graph.Room{})
	if err != nil {
		t.Fatal(err)
	}
	text := s.Boxes[0].Text
	if n := utf8.RuneCountInString(text); n > 40 || !bytes.HasSuffix([]byte(text), []byte("-v2")) ||
		s.Boxes[0].Width > 230 {
		t.Errorf("%q in %d pixels", text, s.Boxes[0].Width)
	}
}

// meshOf is a mesh as they are: a gateway, services that call a few that are further from it, externals, some circles.
func meshOf(services, namespaces int) *graph.Graph {
	r := rand.New(rand.NewPCG(uint64(services), 3))
	g := &graph.Graph{Mesh: fmt.Sprintf("mesh-%d", services)}
	words := []string{"cart", "checkout", "payments", "catalog", "recommendation", "shipping", "mail", "search", "auth"}
	id := func(i int) string { return g.Nodes[i].ID }
	g.Nodes = append(g.Nodes, graph.Node{ID: "gateway public", Kind: "gateway", Name: "public", Namespace: "edge"})
	for i := range services {
		name := words[i%len(words)]
		if i >= len(words) {
			name = fmt.Sprintf("%s-%d", name, i/len(words))
		}
		g.Nodes = append(g.Nodes, graph.Node{
			ID: "service " + name, Kind: "service", Name: name, Namespace: fmt.Sprintf("team-%d",
				i*namespaces/services),
		})
	}
	g.Nodes = append(g.Nodes, graph.Node{ID: "external bank", Kind: "external", Name: "bank"})
	seen := map[[2]int]bool{}
	add := func(from, to int, ports ...string) {
		if from != to && !seen[[2]int{from, to}] {
			seen[[2]int{from, to}] = true
			g.Edges = append(g.Edges, graph.Edge{From: id(from), To: id(to), Ports: ports, Routed: r.IntN(12) == 0})
		}
	}
	for i := 1; i <= services; i++ {
		switch level := i * 4 / (services + 1); {
		case level == 0 && i <= 4:
			add(0, i, "http")
		default:
			for range 1 + r.IntN(2) {
				add(1+r.IntN(max(1, i*3/4)), i, []string{"http", "grpc", "http, metrics"}[r.IntN(3)])
			}
		}
		if r.IntN(20) == 0 {
			add(i, 1+r.IntN(i), "grpc") // back
		}
	}
	add(services, services+1, "https")
	add(max(1, services/2), services+1, "https")
	return g
}
