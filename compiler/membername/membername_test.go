package membername

import "testing"

func TestNames(t *testing.T) {
	for name, want := range map[string]struct {
		plain, namespace string
		qualified        bool
	}{
		"cart":      {"cart", "", false},
		"cart.shop": {"cart", "shop", true},
	} {
		plain, namespace, qualified := Split(name)
		if plain != want.plain || namespace != want.namespace || qualified != want.qualified ||
			Plain(name) != want.plain {
			t.Errorf("%s is %q in %q, %v", name, plain, namespace, qualified)
		}
		if got := Qualified(name, "shop"); got != "cart.shop" {
			t.Errorf("%s in shop is %s", name, got)
		}
	}
}
