package envoy

import (
	"bytes"
	"slices"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
)

// TestOrderOfPartsIsNothing holds the builder to what its parts may rely on: not on each other.
func TestOrderOfPartsIsNothing(t *testing.T) {
	orders := permutations(4)
	for _, delivery := range []ir.Delivery{ir.DeliveryXDS, ir.DeliveryStatic} {
		for _, v := range variants(shop(delivery)) {
			r, err := Build(v.scope, v.Options)
			if err != nil {
				t.Fatal(err)
			}
			endpoint := v.scope.Endpoint(v.Instance)
			want := resourcesYAML(t, r, endpoint)
			for _, order := range orders {
				b := newBuilder(v.scope, v.Options)
				parts := b.parts()
				if len(parts) != len(order) {
					t.Fatalf("there are %d parts, and orders of %d", len(parts), len(order))
				}
				for _, i := range order {
					parts[i]()
				}
				b.secrets()
				got, err := b.finish()
				if err != nil {
					t.Fatal(err)
				}
				if text := resourcesYAML(t, got, endpoint); !bytes.Equal(text, want) {
					t.Errorf("%s, %s, in the order %v:\n%s\nwant\n%s", delivery, v.name, order, text, want)
				}
			}
		}
	}
}

// permutations are all orders of the numbers below n.
func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var out [][]int
	for _, shorter := range permutations(n - 1) {
		for i := range n {
			out = append(out, slices.Insert(slices.Clone(shorter), i, n-1))
		}
	}
	return out
}
