package diff

// How much a comparison looks at before it says that it did not look at everything, in steps: a step holds a condition
// against a part of a request, which takes nanoseconds. The bounds are steps and not seconds, so that two runs say the
// same.
const (
	maxSteps      = 1 << 31 // of a comparison
	maxSpaceSteps = 1 << 28 // for the requests of a sender to a place
	partSteps     = 1 << 13 // to find the choices of a part of a request
	trialSteps    = 32      // to try a request, for each condition that its space has
	plainest      = 64      // requests of which the rest is filled in when no steps are left
)

// budget are the steps that are left.
type budget struct {
	left int
	of   *budget // that these are a part of; nil for none
}

// spend takes steps, unless so many are not left.
func (b *budget) spend(steps int) bool {
	if b.left < steps || b.of != nil && !b.of.spend(steps) {
		return false
	}
	b.left -= steps
	return true
}
