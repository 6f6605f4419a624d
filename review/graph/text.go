package graph

import (
	"fmt"
	"io"
	"strings"
)

// DOT writes the graph in the DOT language of Graphviz.
func (g *Graph) DOT(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %s {\n\trankdir=LR\n\tnode [shape=box, style=rounded]\n", quoted(g.Mesh))
	for i := range g.Nodes {
		n := &g.Nodes[i]
		shape := map[string]string{"gateway": ", shape=house", "external": ", style=dashed"}[n.Kind]
		fmt.Fprintf(&b, "\t%s [label=%s%s]\n", quoted(n.ID), quoted(n.label()), shape)
	}
	for i := range g.Edges {
		e := &g.Edges[i]
		style := ""
		if e.Routed || e.Asked {
			style = ", style=dashed"
		}
		fmt.Fprintf(&b, "\t%s -> %s [label=%s%s]\n", quoted(e.From), quoted(e.To), quoted(e.label()), style)
	}
	b.WriteString("}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// quoted is an ID of DOT: only quotes and backslashes are special in it.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", " ").Replace(text) + `"`
}

// Mermaid writes the graph in the Mermaid language, which Git hosting services draw in Markdown.
func (g *Graph) Mermaid(w io.Writer) error {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	ids := map[string]string{}
	for i, n := range g.Nodes {
		ids[n.ID] = fmt.Sprintf("n%d", i)
		shape := [2]string{"[", "]"}
		switch n.Kind {
		case "gateway":
			shape = [2]string{"[/", `\]`}
		case "external":
			shape = [2]string{"([", "])"}
		}
		fmt.Fprintf(&b, "\t%s%s%s%s\n", ids[n.ID], shape[0], entities(n.label()), shape[1])
	}
	for i := range g.Edges {
		e := &g.Edges[i]
		arrow := "-->"
		if e.Routed || e.Asked {
			arrow = "-.->"
		}
		fmt.Fprintf(&b, "\t%s %s|%s| %s\n", ids[e.From], arrow, entities(e.label()), ids[e.To])
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// entities is a text of Mermaid in quotes, with what is special in it written by numbers.
func entities(text string) string {
	var b strings.Builder
	for _, c := range text {
		if strings.ContainsRune("\"#;<>&|[]{}`\\", c) || c < ' ' {
			fmt.Fprintf(&b, "#%d;", c)
		} else {
			b.WriteRune(c)
		}
	}
	return `"` + b.String() + `"`
}
