package ir

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// TestUnmarshalBeside reads meshes beside others, and wants what Unmarshal makes of them; members that are the same
// are not read again.
func TestUnmarshalBeside(t *testing.T) {
	service := func(name string) *Service {
		s := &Service{Account: name, Proxy: Proxy{Server: "localhost:1"}}
		s.Name, s.Namespace, s.Identity = name, "default",
			spiffeid.RequireFromString("spiffe://shop.example/ns/default/sa/"+name)
		s.Ports = []Port{{Name: "http", Number: 80, Target: 80, Protocol: HTTP}}
		return s
	}
	m := &Mesh{Settings: Settings{
		Name: "shop", TrustDomain: "shop.example", Delivery: DeliveryXDS,
		Certificates: Certificates{Key: KeyECDSAP256},
	}}
	m.Services = []*Service{service("a"), service("b"), service("c")}
	m.Externals = []*External{{
		Name: "bank", Hosts: []string{"bank.example"},
		Ports: []Port{{Name: "https", Number: 443}},
	}}
	other := m.Clone()
	other.Services[1].Account = "else"
	other.Externals = nil
	for name, old := range map[string]*Mesh{"another": other, "itself": m, "empty": {Settings: m.Settings}} {
		data, err := Marshal(old)
		if err != nil {
			t.Fatal(err)
		}
		want, err := Unmarshal(data)
		if err != nil {
			t.Fatal(err)
		}
		got, err := UnmarshalBeside(data, m)
		if err != nil || !Same(got, want) {
			t.Fatalf("%s: %+v, %v", name, got, err)
		}
		if again, err := Marshal(got); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%s: it is written otherwise: %v", name, err)
		}
		if name == "another" && (got.Services[0] != m.Services[0] || got.Services[1] == m.Services[1]) {
			t.Error("members are not taken from the other mesh, or too many are")
		}
	}
	data, err := Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	spread := bytes.ReplaceAll(data, []byte(`{"name"`), []byte("{\n\"name\""))
	if got, err := UnmarshalBeside(spread, m); err != nil || !Same(got, m) {
		t.Errorf("laid out otherwise: %v", err)
	}
	for _, wrong := range []string{
		"", "{}", "null", strings.Replace(string(data), `"meshc":1`, `"meshc":2`, 1),
		strings.Replace(string(data), `"account"`, `"acount"`, 1), string(data[:len(data)-3]),
		strings.Replace(string(data), `"name":"a"`, `"name":"d"`, 1),
	} {
		if _, err := UnmarshalBeside([]byte(wrong), m); err == nil {
			t.Errorf("no error for %.40q", wrong)
		}
	}
}
