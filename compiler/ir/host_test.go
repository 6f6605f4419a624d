package ir

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestClusterHost(t *testing.T) {
	long := strings.Repeat("a", 60)
	for _, c := range []struct {
		name, version, domain string
		created               bool
		want                  string
	}{
		{"cart", "", "", true, "cart.shop.svc.cluster.local"},
		{"cart", "v1", "eu.example", true, "cart-v1.shop.svc.eu.example"},
		{long, "v12345", "", true, strings.Repeat("a", 54) + "-ebfa052e.shop.svc.cluster.local"},
		{"cart", "", "", false, "cart-meshc.shop.svc.cluster.local"},
		{"cart.shop", "v1", "", false, "cart-meshc-v1.shop.svc.cluster.local"},
		{long, "", "", false, strings.Repeat("a", 54) + "-3e84fa95.shop.svc.cluster.local"},
	} {
		u := &Upstream{Name: c.name, Namespace: "shop", Created: c.created}
		if got := (&Settings{ClusterDomain: c.domain}).ClusterHost(u, c.version); got != c.want {
			t.Errorf("%s %s: got %s, want %s", c.name, c.version, got, c.want)
		}
	}
}

func TestLabelIsValidAndItsOwn(t *testing.T) {
	valid := regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)
	name := rapid.StringMatching(`[a-z]([-a-z0-9]{0,61}[a-z0-9])?`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := name.Draw(t, "name")+"-"+name.Draw(t, "version"), name.Draw(t, "name")+"-"+name.Draw(t, "version")
		if !valid.MatchString(Label(a)) {
			t.Fatalf("Label(%q) is %q", a, Label(a))
		}
		if a != b && Label(a) == Label(b) {
			t.Fatalf("%q and %q have the same label %q", a, b, Label(a))
		}
		if len(a) <= maxLabel && Label(a) != a {
			t.Fatalf("%q fits and became %q", a, Label(a))
		}
	})
}
