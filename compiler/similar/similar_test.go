package similar

import "testing"

func TestName(t *testing.T) {
	for _, c := range []struct{ written, want string }{
		{"descrbie", "describe"},
		{"Describe", "describe"},
		{"describ", "describe"},
		{"vett", "vet"},
		{"ve", ""}, // nearly everything is near
		{"graph", ""},
		{"", ""},
	} {
		if got := Name(c.written, []string{"vet", "verify", "describe", "diff"}); got != c.want {
			t.Errorf("%q is near %q, want %q", c.written, got, c.want)
		}
	}
}
