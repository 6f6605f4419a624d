package layout_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"testing"

	"github.com/meshc/meshc/review/graph/layout"
)

// TestGeometry plans random boxes and lines, and holds the plans to what the package promises.
func TestGeometry(t *testing.T) {
	seeds := uint64(60)
	if n, err := strconv.ParseUint(os.Getenv("MESHC_LAYOUTS"), 10, 32); err == nil {
		seeds = n
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 1))
		boxes, lines := random(r, 1+r.IntN(60))
		label := 60 + r.IntN(80)
		p := layout.Of(boxes, lines, label, 1.6)
		if again := layout.Of(boxes, lines, label, 1.6); !reflect.DeepEqual(p, again) {
			t.Fatalf("seed %d: two plans of the same differ", seed)
		}
		for _, fault := range faults(p, boxes, lines) {
			t.Errorf("seed %d, %d boxes, %d lines: %s", seed, len(boxes), len(lines), fault)
		}
	}
}

// random are boxes with at most one line from each to each: in a chain, a star, all ways, or with circles.
func random(r *rand.Rand, n int) (boxes []layout.Box, lines []layout.Line) {
	for range n {
		boxes = append(boxes, layout.Box{Width: 80 + r.IntN(160), Height: 36 + r.IntN(20)})
	}
	seen := map[layout.Line]bool{}
	add := func(from, to int) {
		if l := (layout.Line{From: from, To: to}); !seen[l] {
			seen[l], lines = true, append(lines, l)
		}
	}
	shape := r.IntN(4)
	for i := range n {
		switch shape {
		case 0:
			add(i, (i+1)%n)
		case 1:
			add(0, i)
			add(i, n-1)
		}
	}
	if shape > 1 {
		for range r.IntN(3*n + 1) {
			from, to := r.IntN(n), r.IntN(n)
			if shape == 2 && from > to {
				from, to = to, from
			}
			add(from, to)
		}
	}
	return boxes, lines
}

// faults are what is wrong with a plan.
func faults(p *layout.Plan, boxes []layout.Box, lines []layout.Line) (out []string) {
	fault := func(format string, about ...any) { out = append(out, fmt.Sprintf(format, about...)) }
	whole := layout.Rect{Width: p.Width, Height: p.Height}
	for i, b := range p.Boxes {
		if b.Width < boxes[i].Width || b.Height < boxes[i].Height {
			fault("box %d is %v and must be %v", i, b, boxes[i])
		}
		if !inside(b, whole) {
			fault("box %d is outside: %v", i, b)
		}
		for k := range i {
			if touch(b, p.Boxes[k]) {
				fault("boxes %d and %d overlap: %v and %v", k, i, p.Boxes[k], b)
			}
		}
	}
	for i, l := range p.Lines {
		from, to := p.Boxes[lines[i].From], p.Boxes[lines[i].To]
		first, last := l.Points[0], l.Points[len(l.Points)-1]
		if !onSide(first, from) || !onSide(last, to) {
			fault("line %d leads from %v to %v, and its boxes are %v and %v", i, first, last, from, to)
		}
		if !inside(l.Label, whole) {
			fault("the label of line %d is outside: %v", i, l.Label)
		}
		for k, b := range p.Boxes {
			if touch(l.Label, b) {
				fault("the label of line %d lies on box %d", i, k)
			}
			for _, s := range steps(l) {
				if touch(s, b) {
					fault("line %d runs through box %d: %v, %v", i, k, s, b)
				}
			}
		}
		for k, other := range p.Lines {
			if k == i {
				continue
			}
			if k < i && touch(l.Label, other.Label) {
				fault("the labels of lines %d and %d overlap: %v and %v", k, i, other.Label, l.Label)
			}
			for _, s := range steps(l) {
				for _, o := range steps(other) {
					if k < i && along(s, o) {
						fault("lines %d and %d run on top of each other: %v and %v", k, i, o, s)
					}
				}
				if touch(s, other.Label) {
					fault("line %d runs through the label of line %d", i, k)
				}
			}
		}
	}
	return out
}

// steps are those of a line, as areas without width.
func steps(l layout.Route) (out []layout.Rect) {
	for i := 1; i < len(l.Points); i++ {
		a, b := l.Points[i-1], l.Points[i]
		out = append(out, layout.Rect{
			X: min(a.X, b.X), Y: min(a.Y, b.Y), Width: max(a.X, b.X) - min(a.X, b.X),
			Height: max(a.Y, b.Y) - min(a.Y, b.Y),
		})
	}
	return out
}

// along reports whether two steps run on top of each other for a length that can be seen.
func along(a, b layout.Rect) bool {
	x := min(a.X+a.Width, b.X+b.Width) - max(a.X, b.X)
	y := min(a.Y+a.Height, b.Y+b.Height) - max(a.Y, b.Y)
	return a.Height == 0 && b.Height == 0 && y == 0 && x > 4 || a.Width == 0 && b.Width == 0 && x == 0 && y > 4
}

func touch(a, b layout.Rect) bool {
	return a.X < b.X+b.Width && b.X < a.X+a.Width && a.Y < b.Y+b.Height && b.Y < a.Y+a.Height
}

func inside(a, whole layout.Rect) bool {
	return a.X >= whole.X && a.Y >= whole.Y &&
		a.X+a.Width <= whole.X+whole.Width &&
		a.Y+a.Height <= whole.Y+whole.Height
}

func onSide(p layout.Point, b layout.Rect) bool {
	return (p.X == b.X || p.X == b.X+b.Width) && p.Y > b.Y && p.Y < b.Y+b.Height
}
