package layout

// item is what stands in a column: a box, or a line that passes it.
type item struct {
	box    int // -1 for a line that passes
	column int
	order  int // in its column
	y      int // of the top: of the box itself, below what leads from it to itself
	width  int
	height int
	loops  int // lines that lead from the box to itself: 0 or more
	// left and right are the pieces of lines that end there, from top to bottom.
	left, right []*piece
}

// piece is the part of a line from one column to the next.
type piece struct {
	line       int
	from, to   *item
	leave, end int // how far below the top of from and to
	track      int // -1 for a piece without one, which is straight
	trackX     int
}

func (p *piece) y1() int { return p.from.y + p.leave }
func (p *piece) y2() int { return p.to.y + p.end }

// sheet is a component while it is planned.
type sheet struct {
	columns [][]*item
	pieces  [][]*piece       // those between a column and the next
	chains  map[int][]*piece // of each line, from left to right
	back    map[int]bool     // lines that run from right to left
	loops   map[int][]int    // lines of a box to itself, by box
	items   map[int]*item    // by box
}

// graphOf are the lines of a component, by the boxes at which they begin and end, without those of a box to itself.
type graphOf struct {
	members []int
	out, in map[int][]int // lines
	lines   []Line
}

// reversed are lines that close a circle: without them boxes can be ranked.
func (g *graphOf) reversed() map[int]bool {
	back := map[int]bool{}
	const begun, done = 1, 2
	state := map[int]int{}
	var visit func(int)
	visit = func(box int) {
		state[box] = begun
		for _, l := range g.out[box] {
			switch state[g.lines[l].To] {
			case begun:
				back[l] = true
			case 0:
				visit(g.lines[l].To)
			}
		}
		state[box] = done
	}
	for _, first := range []bool{true, false} { // those to which nothing leads come first
		for _, box := range g.members {
			if state[box] == 0 && (len(g.in[box]) == 0 || !first) {
				visit(box)
			}
		}
	}
	return back
}

// ranks are the columns of the boxes: each is behind all that lead to it, and what nothing leads to stands close to
// what it leads to.
func (g *graphOf) ranks(back map[int]bool) map[int]int {
	ends := func(l int) (from, to int) {
		if back[l] {
			return g.lines[l].To, g.lines[l].From
		}
		return g.lines[l].From, g.lines[l].To
	}
	next, before := map[int][]int{}, map[int]int{}
	for _, box := range g.members {
		for _, l := range g.out[box] {
			from, to := ends(l)
			next[from] = append(next[from], to)
			before[to]++
		}
	}
	rank, waits := map[int]int{}, map[int]int{}
	var ready []int
	for _, box := range g.members {
		if waits[box] = before[box]; waits[box] == 0 {
			ready = append(ready, box)
		}
	}
	for len(ready) > 0 {
		box := ready[0]
		ready = ready[1:]
		for _, to := range next[box] {
			rank[to] = max(rank[to], rank[box]+1)
			if waits[to]--; waits[to] == 0 {
				ready = append(ready, to)
			}
		}
	}
	for _, box := range g.members {
		if before[box] > 0 || len(next[box]) == 0 {
			continue
		}
		least := rank[next[box][0]]
		for _, to := range next[box] {
			least = min(least, rank[to])
		}
		rank[box] = max(rank[box], least-1)
	}
	return rank
}

// sheetOf ranks the boxes of a component and cuts its lines into pieces.
func sheetOf(boxes []Box, lines []Line, members []int) *sheet {
	g := &graphOf{members: members, out: map[int][]int{}, in: map[int][]int{}, lines: lines}
	s := &sheet{chains: map[int][]*piece{}, loops: map[int][]int{}, items: map[int]*item{}}
	among := map[int]bool{}
	for _, box := range members {
		among[box] = true
	}
	for i, l := range lines {
		switch {
		case !among[l.From]:
		case l.From == l.To:
			s.loops[l.From] = append(s.loops[l.From], i)
		default:
			g.out[l.From], g.in[l.To] = append(g.out[l.From], i), append(g.in[l.To], i)
		}
	}
	s.back = g.reversed()
	rank := g.ranks(s.back)
	for _, box := range members {
		it := &item{
			box: box, column: rank[box], width: boxes[box].Width, height: boxes[box].Height,
			loops: len(s.loops[box]),
		}
		s.items[box] = it
		s.add(it)
	}
	s.pieces = make([][]*piece, len(s.columns))
	for i, l := range lines {
		if among[l.From] && l.From != l.To {
			s.cut(i, s.items[l.From], s.items[l.To])
		}
	}
	return s
}

func (s *sheet) add(it *item) {
	for len(s.columns) <= it.column {
		s.columns = append(s.columns, nil)
	}
	it.order = len(s.columns[it.column])
	s.columns[it.column] = append(s.columns[it.column], it)
}

// cut makes the pieces of a line.
func (s *sheet) cut(line int, from, to *item) {
	if s.back[line] {
		from, to = to, from
	}
	at := from
	for at != to {
		next := to
		if at.column+1 < to.column {
			next = &item{box: -1, column: at.column + 1}
			s.add(next)
		}
		p := &piece{line: line, from: at, to: next, track: -1}
		at.right, next.left = append(at.right, p), append(next.left, p)
		s.pieces[at.column] = append(s.pieces[at.column], p)
		s.chains[line] = append(s.chains[line], p)
		at = next
	}
}
