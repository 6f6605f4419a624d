package envoy

import (
	"bytes"
	"slices"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
)

// TestOrderOfPartsIsNothing holds the builder to what its parts may rely on: not on each other.
func TestOrderOfPartsIsNothing(t *testing.T) {
	orders := [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}
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
					t.Fatalf("there are %d parts: write down their orders", len(parts))
				}
				for i := range slices.Values(order) {
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
