package layout

// rounds is how often the heights of all columns are taken from their neighbours.
const rounds = 12

// columnsOf plans a component.
func columnsOf(boxes []Box, lines []Line, members []int, label int) part {
	s := sheetOf(boxes, lines, members)
	s.arrange()
	s.ports()
	s.heights()
	return s.draw(label)
}

// ports spreads the ends of lines over the sides of their boxes, and makes the boxes as high as that needs, and all of
// a column equally wide.
func (s *sheet) ports() {
	for _, column := range s.columns {
		widest := 0
		for _, it := range column {
			widest = max(widest, it.width)
		}
		for _, it := range column {
			if it.width = widest; it.box < 0 {
				continue
			}
			left, right := len(it.left)+it.loops, len(it.right)+it.loops
			it.height = max(it.height, 2*portsEdge+portsLeft*(left-1), 2*portsEdge+portsRight*(right-1))
			for i, p := range it.left {
				p.end = it.port(i+it.loops, left, portsLeft)
			}
			for i, p := range it.right {
				p.leave = it.port(i+it.loops, right, portsRight)
			}
		}
	}
}

// port is how far below the top of the box the end of a line is.
func (it *item) port(i, of, distance int) int {
	return it.height/2 + i*distance - (of-1)*distance/2
}

// above is the room that an item needs above its box.
func (it *item) above() int { return it.loops * loopHeight }

// gap is the least distance between two that stand one below the other.
func gap(upper, lower *item) int {
	if upper.box < 0 || lower.box < 0 {
		return lineGap + lower.above()
	}
	return boxGap + lower.above()
}

// heights places the items of all columns, so that lines are straight where they can be.
func (s *sheet) heights() {
	for _, column := range s.columns {
		for i, it := range column {
			it.y = it.above()
			if i > 0 {
				it.y = column[i-1].y + column[i-1].height + gap(column[i-1], it)
			}
		}
	}
	for round := range rounds {
		for i := range s.columns {
			c := i
			if round%2 == 1 {
				c = len(s.columns) - 1 - i
			}
			settle(s.columns[c], round)
		}
	}
	s.straighten()
	top := 0
	for i, column := range s.columns {
		if first := column[0].y - column[0].above(); i == 0 || first < top {
			top = first
		}
	}
	for _, column := range s.columns {
		for _, it := range column {
			it.y -= top
		}
	}
}

// settle places a column at the heights where its neighbours would have it, as near as the order and the distances
// allow: where two would overlap, both stand at their weighted mean (pooling of adjacent violators).
func settle(column []*item, round int) {
	type pool struct {
		sum, weight float64
		n           int
	}
	offset := make([]int, len(column)) // how far below the first each stands at least
	var pools []pool
	for i, it := range column {
		if i > 0 {
			offset[i] = offset[i-1] + column[i-1].height + gap(column[i-1], it)
		}
		wanted, weight := it.wanted(round)
		now := pool{(wanted - float64(offset[i])) * weight, weight, 1}
		for len(pools) > 0 {
			last := pools[len(pools)-1]
			if last.sum/last.weight < now.sum/now.weight {
				break
			}
			now = pool{last.sum + now.sum, last.weight + now.weight, last.n + now.n}
			pools = pools[:len(pools)-1]
		}
		pools = append(pools, now)
	}
	i := 0
	for _, p := range pools {
		at := int(p.sum/p.weight + 1e6 + 0.5) // rounded down also where it is negative
		for range p.n {
			column[i].y = at - 1e6 + offset[i]
			i++
		}
	}
}

// wanted is the height at which the lines of the item would be straight, and how much that counts: more for a line
// that passes, so that long lines are straight. In the last two rounds both sides count.
func (it *item) wanted(round int) (height, weight float64) {
	sum, n := 0, 0
	if round%2 == 0 || round >= rounds-2 {
		for _, p := range it.left {
			sum, n = sum+p.y1()-p.end, n+1
		}
	}
	if round%2 == 1 || round >= rounds-2 {
		for _, p := range it.right {
			sum, n = sum+p.y2()-p.leave, n+1
		}
	}
	if n == 0 {
		return float64(it.y), 0.1
	}
	weight = 1
	if it.box < 0 {
		weight = 4
	}
	return float64(sum) / float64(n), weight
}

// jog is up to how many pixels a line is made straight by moving where it leads to.
const jog = 10

// straighten moves items a little where that makes a line straight and there is room.
func (s *sheet) straighten() {
	for _, column := range s.columns {
		for i, it := range column {
			for _, p := range it.left {
				by := p.y1() - p.y2()
				if by == 0 {
					break
				}
				room := abs(by) <= jog
				if i > 0 {
					upper := column[i-1]
					room = room && it.y+by >= upper.y+upper.height+gap(upper, it)
				}
				if i+1 < len(column) {
					room = room && it.y+by+it.height+gap(it, column[i+1]) <= column[i+1].y
				}
				if room {
					it.y += by
					break
				}
			}
		}
	}
}
