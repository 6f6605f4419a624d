package ca

import (
	"math/big"
	"testing"
)

// TestSerialNumbers tells from each leaf's serial number of which chain it is.
func TestSerialNumbers(t *testing.T) {
	chain, err := NewChain()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 20 {
		serial, err := serialNumberOf(chain)
		if err != nil {
			t.Fatal(err)
		}
		if of, ok := ChainOf(serial); !ok || of != chain || seen[serial.String()] {
			t.Errorf("%x is of %q, and not of %q", serial, of, chain)
		}
		seen[serial.String()] = true
	}
	none, err := serialNumberOf("")
	if err != nil {
		t.Fatal(err)
	}
	for _, serial := range []*big.Int{none, big.NewInt(0), big.NewInt(0x4d), new(big.Int).Neg(none), new(big.Int).
		Lsh(big.NewInt(1), 159)} {
		if of, ok := ChainOf(serial); ok {
			t.Errorf("%x is of %q", serial, of)
		}
	}
}
