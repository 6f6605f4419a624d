package layout

import (
	"cmp"
	"slices"
)

// near is how close two lines may not come side by side, in pixels.
const near = 3

// apart moves the end of a line that another would run on top of.
const apart = 3

// mostWeighed is the number of pieces between two columns up to which each is weighed against all others.
const mostWeighed = 400

// compareTracks returns the cost of a track of a that is left of that of b: lines that cross, and most of all lines
// that run on top of each other.
func compareTracks(a, b *piece) int {
	cost := 0
	if spans(a, b.y1()) { // the beginning of b crosses a
		cost++
	}
	if spans(b, a.y2()) { // the end of a crosses b
		cost++
	}
	if abs(b.y1()-a.y2()) < near {
		cost += 1000
	}
	return cost
}

func spans(p *piece, y int) bool { return min(p.y1(), p.y2()) < y && y < max(p.y1(), p.y2()) }

func abs(n int) int { return max(n, -n) }

// lead gives the pieces between two columns their tracks, and returns how many tracks there are.
func lead(pieces []*piece) int {
	tracks := 0
	for range 4 { // what is moved may come near to another
		tracks = assign(pieces)
		if !separate(pieces) {
			break
		}
	}
	return tracks
}

// assign orders the pieces by what they cost each other. Two have the same track where they are far from each other.
func assign(pieces []*piece) int {
	var bent []*piece
	for _, p := range pieces {
		if p.track = -1; p.y1() != p.y2() {
			bent = append(bent, p)
		}
	}
	slices.SortStableFunc(bent, func(a, b *piece) int { return compareSlopes(a, b) })
	if len(bent) <= mostWeighed {
		bent = weighed(bent)
	}
	tracks := 0
	for i, p := range bent {
		p.track = 0
		for _, q := range bent[:i] {
			apart := min(p.y1(), p.y2()) >= max(q.y1(), q.y2())+near || min(q.y1(), q.y2()) >= max(p.y1(), p.y2())+near
			if !apart {
				p.track = max(p.track, q.track+1)
			}
		}
		tracks = max(tracks, p.track+1)
	}
	return tracks
}

// compareSlopes has lines that fall come before those that rise; of those that fall the lowest first, and of those that
// rise the highest, so that those do not cross.
func compareSlopes(a, b *piece) int {
	falls := func(p *piece) int {
		if p.y2() > p.y1() {
			return 0
		}
		return 1
	}
	if falls(a) == 0 && falls(b) == 0 {
		return b.y1() - a.y1()
	}
	return cmp.Or(falls(a)-falls(b), a.y1()-b.y1())
}

// weighed takes again and again the piece that costs least as the first of the rest.
func weighed(pieces []*piece) []*piece {
	gain := make([]int, len(pieces))
	cost := make([][]int, len(pieces))
	for i, a := range pieces {
		cost[i] = make([]int, len(pieces))
		for k, b := range pieces {
			if i != k {
				cost[i][k] = compareTracks(a, b) - compareTracks(b, a)
				gain[i] += cost[i][k]
			}
		}
	}
	out := make([]*piece, 0, len(pieces))
	taken := make([]bool, len(pieces))
	for range pieces {
		first := -1
		for i := range pieces {
			if !taken[i] && (first < 0 || gain[i] < gain[first]) {
				first = i
			}
		}
		taken[first] = true
		out = append(out, pieces[first])
		for i := range pieces {
			gain[i] -= cost[i][first]
		}
	}
	return out
}

// separate moves ends of lines apart that run on top of each other all the same, and reports whether there were any.
func separate(pieces []*piece) (moved bool) {
	for _, a := range pieces {
		for _, b := range pieces {
			if a != b && a.track >= 0 && b.track > a.track && abs(b.y1()-a.y2()) < near {
				a.to.shift(a, b.y1()+apart)
				moved = true
			}
		}
	}
	return moved
}

// shift moves the end of a piece, or the line that passes there, a little.
func (it *item) shift(p *piece, y int) {
	if it.box < 0 {
		it.y = y
		return
	}
	p.end = y - it.y
}

// draw routes the lines of a component whose items have their heights.
func (s *sheet) draw(label int) part {
	out := part{boxes: map[int]Rect{}, lines: map[int]Route{}}
	x := 0
	left := make([]int, len(s.columns)) // of each column
	for c, column := range s.columns {
		labels := slices.ContainsFunc(column, func(it *item) bool { return it.box >= 0 && len(it.left)+it.loops > 0 })
		if labels {
			x += label + tip
		}
		left[c] = x
		x += column[0].width
		out.width = x
		if tracks := lead(s.pieces[c]); c+1 < len(s.columns) {
			for _, p := range s.pieces[c] {
				p.trackX = x + Margin + p.track*trackWidth
			}
			x += 2*Margin + max(0, tracks-1)*trackWidth
		}
		if slices.ContainsFunc(column, func(it *item) bool { return it.loops > 0 }) {
			out.width += Margin
		}
	}
	for c, column := range s.columns {
		for _, it := range column {
			out.height = max(out.height, it.y+it.height)
			if it.box >= 0 {
				out.boxes[it.box] = Rect{left[c], it.y, it.width, it.height}
				s.drawLoops(&out, it, left[c], label)
			}
		}
	}
	for line, chain := range s.chains {
		out.lines[line] = s.route(line, chain, left, label)
	}
	return out
}

// route is the way of a line through its pieces.
func (s *sheet) route(line int, chain []*piece, left []int, label int) Route {
	first, last := chain[0], chain[len(chain)-1]
	points := []Point{{left[first.from.column] + first.from.width, first.y1()}}
	for _, p := range chain {
		if p.track >= 0 {
			points = append(points, Point{p.trackX, p.y1()}, Point{p.trackX, p.y2()})
		}
	}
	end := left[last.to.column]
	points = append(points, Point{end, last.y2()})
	if s.back[line] {
		slices.Reverse(points)
	}
	return Route{points, Rect{end - tip - label, last.y2() - LabelLine/2, label, LabelLine}, s.back[line]}
}

// drawLoops routes the lines of a box to itself, above it.
func (s *sheet) drawLoops(out *part, it *item, x, label int) {
	for i, line := range s.loops[it.box] {
		from := it.y + it.port(i, len(it.right)+it.loops, portsRight)
		to := it.y + it.port(i, len(it.left)+it.loops, portsLeft)
		over, side := it.y-(it.loops-i)*loopHeight+loopHeight/2, 4+2*(it.loops-1-i)
		out.lines[line] = Route{
			[]Point{
				{x + it.width, from},
				{x + it.width + side, from},
				{x + it.width + side, over},
				{x - tip/2, over},
				{x - tip/2, to},
				{x, to},
			},
			Rect{x - tip - label, to - LabelLine/2, label, LabelLine},
			false,
		}
	}
}
