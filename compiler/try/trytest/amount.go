package trytest

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// Amount is how much of something random a test makes: what its environment variable says, or else the usual amount.
// The test reads the variable itself, by which what make soak must set is found.
func Amount(variable string, usual int) int {
	if n, err := strconv.Atoi(variable); err == nil {
		return n
	}
	return usual
}

// Seed is what the random things of a test are made of, which it logs: MESHC_SEED, or else the time.
func Seed(t *testing.T) uint64 {
	t.Helper()
	seed, err := strconv.ParseUint(os.Getenv("MESHC_SEED"), 10, 64)
	if err != nil {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("MESHC_SEED=%d", seed)
	return seed
}
