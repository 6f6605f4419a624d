package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/identity/ca"
)

// TestRevokeCommand revokes an identity and a host, lists that, and undoes it; what cannot be revoked it says so of.
func TestRevokeCommand(t *testing.T) {
	const id = "spiffe://shop.example/ns/shop/sa/cart"
	const chain, unknown = "00112233445566778899aabbccddeeff", "4Dff112233445566778899aabbccddeeff000001"
	dir := t.TempDir()
	if _, err := ca.Open(dir, secret.Value{}); err != nil {
		t.Fatal(err)
	}
	serve := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"proxies": [], "holders": [{"identity": "` + id + `", "name": "host7", "chain": "` +
			chain + `"}, {"identity": "` + id + `", "name": "old"}]}`)) // the client is there
	}))
	defer serve.Close()
	address := strings.TrimPrefix(serve.URL, "http://")
	for _, c := range []struct {
		args, want string
		code       int
	}{
		{"revoked", "nothing is revoked\n", 0},
		{"revoke --identity " + id + " --reason copied", id + " is revoked", 0},
		{"revoked", "all      ", 0},
		{"revoke --holder host7 --server " + address, id + " at host7 is revoked", 0},
		{"revoked", "host7", 0},
		{"revoke --holder host7 --undo", id + " at host7 is not revoked any more", 0},
		{"revoke --holder host7 --undo", "it was not revoked", 2},
		{"revoke --identity " + id + " --undo", id + " is not revoked any more", 0},
		{"revoke --holder old --server " + address, "revoke its identity", 2},
		{"revoke --holder nobody --server " + address, `has no holder "nobody"`, 2},
		{"revoke --serial serial=4D" + chain + "0a0B0c --server " + address, id + " at host7 is revoked", 0},
		{"revoke --serial 4d:" + chain + ":ff:ff:ff --undo", id + " at host7 is not revoked any more", 0},
		{"revoke --serial " + unknown + " --server " + address, "give the certificate's identity too", 2},
		{
			"revoke --serial " + unknown + " --identity " + id,
			id + " in chain ff112233445566778899aabbccddeeff is revoked", 0,
		},
		{"revoke --serial " + unknown + " --undo", "is not revoked any more", 0},
		{"revoke --serial 1234 --server " + address, "does not identify a holder", 2},
		{"revoke --serial x --server " + address, `"x" is not a valid serial number`, 2},
		{"revoke --serial " + unknown + " --holder host7", "leave --holder out", 2},
		{"revoke --identity cart", `"cart" is not a valid SPIFFE ID`, 2},
		{"revoke", "give either --identity or --holder", 2},
		{"revoke --identity " + id + " --ca-secret s/s", "give either --ca DIR or --ca-secret", 2},
		{"revoked", "nothing is revoked\n", 0},
	} {
		var out bytes.Buffer
		code := run(append(append([]string{"certs"}, strings.Fields(c.args)...), "--ca", dir), strings.NewReader(""),
			&out, &out)
		if code != c.code || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: exit code %d, want %d, with %q:\n%s", c.args, code, c.code, c.want, out.String())
		}
	}
}
