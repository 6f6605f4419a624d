package graph

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/review/graph/layout"
)

// The views of a graph, beside that of a member and its neighbours, which has the name of its [Node.ID].
const (
	// Overview shows all members, or all groups where there are too many members.
	Overview = ""
	// Groups shows all groups.
	Groups = "groups"
	// groupView is what the name of a group's view begins with: its members, and the groups they call and are called
	// by.
	groupView = "group "
)

// How many boxes are drawn one by one: in the overview, and beside a member or a group. More than groupMost members of
// a namespace are several groups.
const (
	overviewMost = 64
	besideMost   = 40
	groupMost    = 40
)

// Room is how much room a scene has for what is written in it.
type Room struct {
	// Label is the width of the text on a line, and Under the number of lines below a box's name.
	Label, Under int
}

// Scene is a view of a graph as it is drawn.
type Scene struct {
	View   string `json:"view"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
	Boxes  []Box  `json:"boxes"`
	Lines  []Line `json:"lines"`
}

// Box is a member or a group with its place.
type Box struct {
	// ID is that of the node, or the name of the group's view.
	ID   string `json:"id"`
	Kind string `json:"kind"`
	// Text is the name, and Under what stands below it; both fit into the box.
	Text  string `json:"text"`
	Under string `json:"under,omitempty"`
	// Members are the IDs of the nodes of a group.
	Members []string `json:"members,omitempty"`
	X       int      `json:"x"`
	Y       int      `json:"y"`
	Width   int      `json:"width"`
	Height  int      `json:"height"`
}

// Line is what leads from one box to another.
type Line struct {
	From string `json:"from"`
	To   string `json:"to"`
	// Calls are the edges that it stands for, as indexes of [Graph.Edges].
	Calls []int `json:"calls"`
	// Text is the ports, as they fit on the line.
	Text string `json:"text"`
	// Points are x and y of each corner of the line, in turn.
	Points []int `json:"points"`
	// Label is the area for the label: x, y, width and height.
	Label [4]int `json:"label"`
	Back  bool   `json:"back,omitempty"`
}

// Group is a namespace, or a part of one that has many members.
type Group struct {
	// ID is the name of its view.
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Members []string `json:"members"`
}

// Groups are the members by namespace. What has no namespace is by its kind.
func (g *Graph) Groups() (out []Group) {
	members := map[string][]string{}
	var names []string
	for _, n := range g.Nodes {
		name := n.Namespace
		switch {
		case n.Kind == KindStranger:
			name = "not in the mesh"
		case name == "":
			name = n.Kind + "s"
		}
		if members[name] == nil {
			names = append(names, name)
		}
		members[name] = append(members[name], n.ID)
	}
	slices.Sort(names)
	for _, name := range names {
		all := members[name]
		slices.Sort(all)
		parts := (len(all) + groupMost - 1) / groupMost
		for i := range parts {
			part := all[i*len(all)/parts : (i+1)*len(all)/parts]
			title := name
			if parts > 1 {
				title = fmt.Sprintf("%s, %d of %d", name, i+1, parts)
			}
			out = append(out, Group{groupView + title, title, part})
		}
	}
	return out
}

// Views are the names of all views.
func (g *Graph) Views() []string {
	out := []string{Overview, Groups}
	for _, group := range g.Groups() {
		out = append(out, group.ID)
	}
	for _, n := range g.Nodes {
		out = append(out, n.ID)
	}
	return out
}

// Scene lays out a view. It returns an error if there is no such view.
func (g *Graph) Scene(view string, room Room) (*Scene, error) {
	boxOf := map[string]string{} // the box that a node stands in; none for a node that is not shown
	groupOf := map[string]string{}
	groups := map[string]Group{}
	for _, group := range g.Groups() {
		groups[group.ID] = group
		for _, id := range group.Members {
			groupOf[id] = group.ID
		}
	}
	near := g.neighbours()
	_, isGroup := groups[view]
	_, isNode := groupOf[view]
	switch {
	case view == Overview && len(g.Nodes) <= overviewMost:
		for _, n := range g.Nodes {
			boxOf[n.ID] = n.ID
		}
	case view == Overview || view == Groups:
		boxOf = groupOf
	case isGroup:
		own := groups[view].Members
		g.showWithNeighbours(boxOf, own, near, groupOf)
	case isNode:
		g.showWithNeighbours(boxOf, []string{view}, near, groupOf)
	default:
		return nil, fmt.Errorf("the graph of %s has no view %q", g.Mesh, view)
	}
	return g.draw(view, boxOf, groups, room), nil
}

// neighbours are those that each node calls or is called by.
func (g *Graph) neighbours() map[string][]string {
	out := map[string][]string{}
	for _, e := range g.Edges {
		out[e.From] = append(out[e.From], e.To)
		out[e.To] = append(out[e.To], e.From)
	}
	return out
}

// showWithNeighbours shows some nodes and what is near them: one by one, or in groups where that would be too many.
func (g *Graph) showWithNeighbours(
	boxOf map[string]string, own []string, near map[string][]string, groupOf map[string]string,
) {
	for _, id := range own {
		boxOf[id] = id
	}
	var others []string
	perGroup := map[string]int{}
	for _, id := range own {
		for _, other := range near[id] {
			if _, shown := boxOf[other]; !shown {
				boxOf[other] = other
				others = append(others, other)
				perGroup[groupOf[other]]++
			}
		}
	}
	if len(others) <= besideMost {
		return
	}
	for _, id := range others {
		if group := groupOf[id]; perGroup[group] > 1 {
			boxOf[id] = group
		}
	}
}

// draw lays out boxes and the lines between them.
func (g *Graph) draw(view string, boxOf map[string]string, groups map[string]Group, room Room) *Scene {
	s := &Scene{View: view, Boxes: []Box{}, Lines: []Line{}}
	index := map[string]int{}
	for i := range g.Nodes {
		id, shown := boxOf[g.Nodes[i].ID]
		if !shown {
			continue
		}
		at, known := index[id]
		if !known {
			at = len(s.Boxes)
			index[id] = at
			s.Boxes = append(s.Boxes, g.Nodes[i].box())
			if group, is := groups[id]; is {
				s.Boxes[at] = group.box()
			}
		}
		if _, is := groups[id]; is {
			s.Boxes[at].Members = append(s.Boxes[at].Members, g.Nodes[i].ID)
			s.Boxes[at].Under = diag.Count(uint64(len(s.Boxes[at].Members)), "member")
		}
	}
	line := map[[2]string]int{}
	var ends []layout.Line
	for i, e := range g.Edges {
		from, to := boxOf[e.From], boxOf[e.To]
		_, whole := groups[from]
		if from == "" || to == "" || from == to && whole {
			continue
		}
		k, known := line[[2]string{from, to}]
		if !known {
			k = len(s.Lines)
			line[[2]string{from, to}] = k
			s.Lines = append(s.Lines, Line{From: from, To: to})
			ends = append(ends, layout.Line{From: index[from], To: index[to]})
		}
		s.Lines[k].Calls = append(s.Lines[k].Calls, i)
	}
	for k := range s.Lines {
		s.Lines[k].Text = g.ports(s.Lines[k].Calls, room.Label)
	}
	s.place(ends, room)
	return s
}

// ports are those of edges, as they fit.
func (g *Graph) ports(edges []int, most int) string {
	if len(edges) > 1 {
		return fmt.Sprintf("%d calls", len(edges))
	}
	return fit(g.Edges[edges[0]].label(), most, labelSize)
}

// wide is how much wider than high the place for the graph is on a usual screen.
const wide = 1.5

func (s *Scene) place(ends []layout.Line, room Room) {
	sizes := make([]layout.Box, len(s.Boxes))
	for i := range s.Boxes {
		sizes[i] = s.Boxes[i].size(room)
	}
	p := layout.Of(sizes, ends, room.Label+2*portPadding, wide)
	s.Width, s.Height = p.Width, p.Height
	for i, r := range p.Boxes {
		s.Boxes[i].X, s.Boxes[i].Y, s.Boxes[i].Width, s.Boxes[i].Height = r.X, r.Y, r.Width, r.Height
	}
	for i, r := range p.Lines {
		for _, at := range r.Points {
			s.Lines[i].Points = append(s.Lines[i].Points, at.X, at.Y)
		}
		s.Lines[i].Label = [4]int{r.Label.X, r.Label.Y, r.Label.Width, r.Label.Height}
		s.Lines[i].Back = r.Back
	}
}

// box is a node, without a place.
func (n *Node) box() Box {
	name, about := n.Name, n.Kind
	if n.Namespace != "" {
		name = ir.PlainName(n.Name)
		if about += " · " + n.Namespace; n.Kind == "service" {
			about = n.Namespace
		}
	}
	b := Box{ID: n.ID, Kind: n.Kind, Text: fit(name, nameMost, nameSize)}
	if len(n.Open) > 0 {
		about += " · open: " + strings.Join(n.Open, ", ")
	}
	b.Under = fit(about, nameMost, underSize)
	return b
}

func (g *Group) box() Box {
	return Box{ID: g.ID, Kind: "group", Text: fit(g.Name, nameMost, nameSize)}
}
