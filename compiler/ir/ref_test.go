package ir

import (
	"encoding/json"
	"reflect"
	"testing"
)

// TestRef reads references in the text that they have in JSON, as values and as keys.
func TestRef(t *testing.T) {
	want := map[Ref][]Ref{ServiceRef("cart"): {GatewayRef("public"), ExternalRef("bank")}}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if text := `{"service cart":["gateway public","external bank"]}`; string(data) != text {
		t.Errorf("JSON is %s, want %s", data, text)
	}
	var got map[Ref][]Ref
	if err := json.Unmarshal(data, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %v: %v", got, err)
	}
	for _, text := range []string{"", "service", "service ", "mesh shop", "services cart"} {
		if r, err := ParseRef(text); err == nil {
			t.Errorf("%q is %v", text, r)
		}
	}
	if r := ExternalRef("bank"); r.Path() != "external.bank" || ServiceRef("cart").Path() != "services.cart" ||
		r.ID() != "external/bank" {
		t.Errorf("paths are %s and %s, and an id is %s", r.Path(), ServiceRef("cart").Path(), r.ID())
	}
}
