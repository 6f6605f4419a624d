package layout

import (
	"cmp"
	"slices"
)

// sweeps is how often all columns are ordered anew: more changes next to nothing.
const sweeps = 16

// arrange orders the columns so that few lines cross.
func (s *sheet) arrange() {
	best, fewest := s.orders(), s.crossings()
	for round := 0; round < sweeps && fewest > 0; round++ {
		if round%2 == 0 {
			for c := 1; c < len(s.columns); c++ {
				s.byNeighbours(c, func(it *item) []*piece { return it.left }, func(p *piece) *item { return p.from })
			}
		} else {
			for c := len(s.columns) - 2; c >= 0; c-- {
				s.byNeighbours(c, func(it *item) []*piece { return it.right }, func(p *piece) *item { return p.to })
			}
		}
		if n := s.crossings(); n < fewest {
			best, fewest = s.orders(), n
		}
	}
	for c, column := range s.columns {
		for i, it := range best[c] {
			column[i], it.order = it, i
		}
	}
	for _, column := range s.columns {
		for _, it := range column {
			slices.SortStableFunc(it.left, func(a, b *piece) int { return a.from.order - b.from.order })
			slices.SortStableFunc(it.right, func(a, b *piece) int { return a.to.order - b.to.order })
		}
	}
}

func (s *sheet) orders() [][]*item {
	out := make([][]*item, len(s.columns))
	for c, column := range s.columns {
		out[c] = slices.Clone(column)
	}
	return out
}

// byNeighbours orders a column by the means of what its items are joined with on one side. What is joined with nothing
// there keeps its place.
func (s *sheet) byNeighbours(c int, pieces func(*item) []*piece, other func(*piece) *item) {
	column := s.columns[c]
	mean := make(map[*item]float64, len(column))
	var movable []*item
	for _, it := range column {
		joined := pieces(it)
		if len(joined) == 0 {
			continue
		}
		sum := 0
		for _, p := range joined {
			sum += other(p).order
		}
		mean[it] = float64(sum) / float64(len(joined))
		movable = append(movable, it)
	}
	slices.SortStableFunc(movable, func(a, b *item) int { return cmp.Compare(mean[a], mean[b]) })
	k := 0
	for i, it := range column {
		if _, moves := mean[it]; moves {
			column[i] = movable[k]
			k++
		}
	}
	for i, it := range column {
		it.order = i
	}
}

// crossings is how many pairs of pieces cross.
func (s *sheet) crossings() int {
	n := 0
	for c, pieces := range s.pieces {
		if c+1 < len(s.columns) {
			n += crossed(pieces, len(s.columns[c+1]))
		}
	}
	return n
}

// crossed counts those between two columns, by a tree of sums over the right one.
func crossed(pieces []*piece, right int) int {
	inOrder := slices.Clone(pieces)
	slices.SortFunc(inOrder, func(a, b *piece) int {
		return cmp.Or(a.from.order-b.from.order, a.to.order-b.to.order)
	})
	sums := make([]int, right+1)
	n := 0
	for seen, p := range inOrder {
		notAbove := 0
		for i := p.to.order + 1; i > 0; i -= i & -i {
			notAbove += sums[i]
		}
		n += seen - notAbove
		for i := p.to.order + 1; i <= right; i += i & -i {
			sums[i]++
		}
	}
	return n
}
