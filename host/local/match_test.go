package local

import "testing"

// Forty requests, each taken by the first route that matches, or by none.
//
// Field: routes.match
func TestMatch(t *testing.T) {
	for _, c := range []struct {
		route, method, path string
		headers             []string
	}{
		{"exact", "GET", "/exact", nil},
		{"exact", "GET", "/exact?and=query", nil},
		{"", "GET", "/exact/", nil},
		{"", "GET", "/EXACT", nil},
		{"prefix", "GET", "/prefix/a/b", nil},
		{"", "GET", "/prefix", nil},
		{"regex", "GET", "/regex/12", nil},
		{"", "GET", "/regex/12a", nil},
		{"template", "GET", "/users/7/orders/", nil},
		{"template", "GET", "/users/7/orders/a/b", nil},
		{"", "GET", "/users/7/8/orders/a", nil},
		{"", "GET", "/users/7/orders", nil},
		{"grpc method", "POST", "/shop.Cart/Add", nil},
		{"grpc service", "POST", "/shop.Cart/Get", nil},
		{"grpc any service", "POST", "/shop.Other/Watch", nil},
		{"", "POST", "/shop.Cart2/Get", nil},
		{"method", "PUT", "/method", nil},
		{"", "POST", "/method", nil},
		{"header exact", "GET", "/", []string{"x-exact", "1"}},
		{"", "GET", "/", []string{"x-exact", "11"}},
		{"header prefix", "GET", "/", []string{"x-prefix", "abc"}},
		{"", "GET", "/", []string{"x-prefix", "cab"}},
		{"header suffix", "GET", "/", []string{"x-suffix", "xyz"}},
		{"", "GET", "/", []string{"x-suffix", "yzx"}},
		{"header regex", "GET", "/", []string{"x-regex", "abc"}},
		{"", "GET", "/", []string{"x-regex", "abcd"}},
		{"header present", "GET", "/", []string{"x-present", "any"}},
		{"header absent", "GET", "/absent", nil},
		{"", "GET", "/absent", []string{"x-absent", "any"}},
		{"header inverted", "GET", "/inverted", nil},
		{"header inverted", "GET", "/inverted", []string{"x-env", "test"}},
		{"", "GET", "/inverted", []string{"x-env", "prod"}},
		{"query exact", "GET", "/?q=1", nil},
		{"", "GET", "/?q=11", nil},
		{"query prefix", "GET", "/?q=abc", nil},
		{"query regex", "GET", "/?q=xyz", nil},
		{"query present", "GET", "/?debug", nil},
		{"", "GET", "/?debugging=1", nil},
		{"first", "GET", "/twice", nil},
		{"second", "GET", "/twic", nil},
	} {
		got := exchange(t, client(t), c.method, "http://match:8080"+c.path, "", c.headers...)
		if got.report == nil || got.header.Get("x-route") != c.route {
			t.Errorf("%s %s %v: %d, route %q, want %q", c.method, c.path, c.headers, got.status,
				got.header.Get("x-route"), c.route)
		}
	}
}
