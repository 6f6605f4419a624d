// Package layout places boxes in columns, from left to right along the lines between them, and leads the lines so that
// none runs through a box which it does not touch, and no two run on top of each other. It knows nothing but sizes: the
// same boxes and lines always give the same plan.
//
// A line that passes a column has a place of its own there, as a box has. Between two columns lines change their height
// each on a track of its own, and after the tracks, at the left of the boxes to which they lead, is the place for their
// labels.
package layout

import "slices"

// Box is what is to be placed: its least size, in pixels.
type Box struct{ Width, Height int }

// Line leads from one box to another, or to itself. Both are indexes.
type Line struct{ From, To int }

// Point is a place, in pixels from the top left.
type Point struct{ X, Y int }

// Rect is an area.
type Rect struct{ X, Y, Width, Height int }

// Plan is where everything stands. Boxes and Lines are in the order in which they were given.
type Plan struct {
	Width, Height int
	Boxes         []Rect
	Lines         []Route
}

// Route is the way of a line: from the first point to the last, each step along one axis.
type Route struct {
	Points []Point
	// Label is the area for the line's label, on the line, which nothing else touches.
	Label Rect
	// Back is true for a line that runs from right to left, as lines that close a circle do: its label stands where it
	// begins.
	Back bool
}

// Distances, in pixels.
const (
	Margin     = 12 // around everything, and around the tracks between two columns
	LabelLine  = 14 // the height of a label
	tip        = 12 // from a label to its box: room for the head of an arrow
	portsLeft  = 20 // between two lines at the left of a box, which have labels
	portsRight = 10 // between two lines at the right of a box
	portsEdge  = 10 // from the corner of a box to a line
	trackWidth = 8  // between two tracks
	loopHeight = 14 // above a box, for a line that leads from it to itself
	boxGap     = 16 // between two boxes of a column
	lineGap    = 10 // between a line that passes a column and what is above and below it
	groupGap   = 28 // between parts that no line joins
)

// Of plans boxes and lines; each line has a label of that width. The plan is made for an area that is wide times as
// wide as it is high.
func Of(boxes []Box, lines []Line, label int, wide float64) *Plan {
	p := &Plan{Boxes: make([]Rect, len(boxes)), Lines: make([]Route, len(lines))}
	var parts []part
	for _, members := range components(len(boxes), lines) {
		parts = append(parts, columnsOf(boxes, lines, members, label))
	}
	pack(parts, wide)
	for i := range parts {
		parts[i].draw(p)
	}
	for _, at := range parts {
		p.Width, p.Height = max(p.Width, at.x+at.width+Margin), max(p.Height, at.y+at.height+Margin)
	}
	return p
}

// components are the boxes that lines join, directly or through others: each in order, the largest first.
func components(boxes int, lines []Line) [][]int {
	of := make([]int, boxes)
	for i := range of {
		of[i] = i
	}
	root := func(i int) int {
		for of[i] != i {
			of[i] = of[of[i]]
			i = of[i]
		}
		return i
	}
	for _, l := range lines {
		a, b := root(l.From), root(l.To)
		of[max(a, b)] = min(a, b)
	}
	var out [][]int
	at := map[int]int{}
	for i := range boxes {
		r := root(i)
		k, known := at[r]
		if !known {
			k = len(out)
			at[r], out = k, append(out, nil)
		}
		out[k] = append(out[k], i)
	}
	slices.SortStableFunc(out, func(a, b []int) int { return len(b) - len(a) })
	return out
}

// part is a component with its place.
type part struct {
	x, y, width, height int
	boxes               map[int]Rect
	lines               map[int]Route
}

// draw adds the part to the plan, where it stands.
func (c *part) draw(p *Plan) {
	for i, r := range c.boxes {
		p.Boxes[i] = r.moved(c.x, c.y)
	}
	for i, r := range c.lines {
		for k := range r.Points {
			r.Points[k].X += c.x
			r.Points[k].Y += c.y
		}
		r.Label = r.Label.moved(c.x, c.y)
		p.Lines[i] = r
	}
}

func (r Rect) moved(x, y int) Rect { return Rect{r.X + x, r.Y + y, r.Width, r.Height} }

// pack places the parts in rows.
func pack(parts []part, wide float64) {
	area, most := 0.0, 0
	for i := range parts {
		area += float64((parts[i].width + groupGap) * (parts[i].height + groupGap))
		most = max(most, parts[i].width)
	}
	side := 1.0
	for side*side*wide < area {
		side += 8
	}
	row := max(most, int(side*wide))
	x, y, high := Margin, Margin, 0
	for i := range parts {
		if x > Margin && x+parts[i].width > Margin+row {
			x, y, high = Margin, y+high+groupGap, 0
		}
		parts[i].x, parts[i].y = x, y
		x, high = x+parts[i].width+groupGap, max(high, parts[i].height)
	}
}
