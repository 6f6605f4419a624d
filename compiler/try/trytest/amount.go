package trytest

import (
	"os"
	"strconv"
	"testing"
)

// Amount is how much of something random a test makes: what its environment variable says, or else the usual amount.
// The test reads the variable itself, by which what make soak must set is found.
func Amount(variable string, usual int) int {
	if n, err := strconv.Atoi(variable); err == nil {
		return n
	}
	return usual
}

// usualSeed is what the random things of a test are made of when nobody says otherwise.
const usualSeed = 1

// Seed is what the random things of a test are made of, which it logs: MESHC_SEED, or else always the same, so that a
// test fails for the change that it tests. The nightly run and make soak set a new one.
func Seed(t *testing.T) uint64 {
	t.Helper()
	seed, err := strconv.ParseUint(os.Getenv("MESHC_SEED"), 10, 64)
	if err != nil {
		seed = usualSeed
	}
	t.Logf("MESHC_SEED=%d", seed)
	return seed
}
