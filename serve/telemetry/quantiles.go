package telemetry

import (
	"cmp"
	"math"
	"slices"
)

// points is how many quantiles a distribution is kept as.
const points = 8

// quantiles are those of a [distribution], among those that Envoy reports.
var quantiles = [points]float64{0, .25, .5, .75, .9, .95, .99, 1}

// distribution is how long requests took: their durations at [quantiles], each as a code. Between two quantiles
// durations are taken to be spread evenly.
type distribution [points]uint16

// A code is the logarithm of a duration, from 10 microseconds to 3 hours in steps of 0.03 %.
const (
	shortest = 0.01 // milliseconds
	longest  = 1e7
)

var codeSteps = math.MaxUint16 / math.Log(longest/shortest)

func codeOf(ms float64) uint16 {
	if !(ms > shortest) { // or not a number
		return 0
	}
	return uint16(math.Round(math.Log(min(ms, longest)/shortest) * codeSteps))
}

// durationOf is the duration of a code, in milliseconds.
func durationOf(code uint16) float64 {
	if code == 0 {
		return 0
	}
	return shortest * math.Exp(float64(code)/codeSteps)
}

// distributionOf is that of the durations at [quantiles], in milliseconds. What does not rise is raised: a report may
// say anything.
func distributionOf(latency *[points]float64) (d distribution) {
	var least uint16
	for i, ms := range latency {
		least = max(least, codeOf(ms))
		d[i] = least
	}
	return d
}

// merger makes one distribution of several. Its zero value is that of none.
type merger struct {
	steps    []step
	total    float64
	low, top float64
}

// step is where the number of requests that took at most so long begins to rise, stops to, or jumps.
type step struct{ at, density, jump float64 }

// add puts n requests of that distribution to the others.
func (m *merger) add(d *distribution, n uint32) {
	if n == 0 {
		return
	}
	var at [points]float64
	for i, code := range d {
		at[i] = durationOf(code)
	}
	if m.total == 0 || at[0] < m.low {
		m.low = at[0]
	}
	m.top = max(m.top, at[points-1])
	m.total += float64(n)
	for i := 1; i < points; i++ {
		mass := (quantiles[i] - quantiles[i-1]) * float64(n)
		if at[i] == at[i-1] {
			m.steps = append(m.steps, step{at: at[i], jump: mass})
			continue
		}
		density := mass / (at[i] - at[i-1])
		m.steps = append(m.steps, step{at: at[i-1], density: density}, step{at: at[i], density: -density})
	}
}

// reset forgets what was added.
func (m *merger) reset() { m.steps, m.total, m.top = m.steps[:0], 0, 0 }

// merged are the durations at [quantiles] of all that was added, in milliseconds.
func (m *merger) merged() (out [points]float64) {
	if m.total == 0 {
		return out
	}
	slices.SortFunc(m.steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	next, at, below, density := 1, m.low, 0.0, 0.0
	reached := func(most, until float64) {
		for ; next < points-1; next++ {
			missing := quantiles[next]*m.total - below
			if missing > most*(1+1e-9) {
				return
			}
			out[next] = until
			if density > 0 {
				out[next] = min(until, at+max(0, missing)/density)
			}
		}
	}
	for _, s := range m.steps {
		rise := density * (s.at - at)
		reached(rise, s.at)
		below, at = below+rise, s.at
		if s.jump > 0 {
			held := density
			density = 0
			reached(s.jump, s.at)
			density = held
			below += s.jump
		}
		density = max(0, density+s.density)
	}
	for ; next < points; next++ {
		out[next] = m.top
	}
	out[0] = m.low
	return out
}
