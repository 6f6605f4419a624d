package secret_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/compiler/secret/planted"
)

func TestValueNeverShows(t *testing.T) {
	v := secret.New([]byte("hunter2"))
	holder := struct {
		Key   secret.Value
		Inner *secret.Value
	}{v, &v}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %v"} {
		fmt.Fprintf(&out, verb+"\n", v)
		fmt.Fprintf(&out, verb+"\n", holder)
		fmt.Fprintf(&out, verb+"\n", []secret.Value{v})
		fmt.Fprintf(&out, verb+"\n", map[string]secret.Value{"a": v})
	}
	if err := json.NewEncoder(&out).Encode(holder); err != nil {
		t.Fatal(err)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("said", "key", v, "holder", holder)
	slog.New(slog.NewTextHandler(&out, nil)).Info("said", "key", v, "holder", holder)
	fmt.Fprintln(&out, errors.Join(fmt.Errorf("cannot use %v", v)))
	func() {
		defer func() { fmt.Fprintln(&out, recover()) }()
		panic(fmt.Sprint(v))
	}()
	for _, shown := range []string{
		"hunter2", fmt.Sprintf("%x", "hunter2"), fmt.Sprintf("%X", "hunter2"), "104 117 110",
		"0x68", "aHVudGVyMg",
	} {
		if strings.Contains(out.String(), shown) {
			t.Errorf("%q is shown in\n%s", shown, out.String())
		}
	}
	if string(v.Reveal()) != "hunter2" {
		t.Error("it is not what was held")
	}
}

func TestFind(t *testing.T) {
	for kind, text := range planted.Secrets {
		for _, around := range []string{text, "x: \"" + text + "\"", "before " + text + " after"} {
			if got := secret.Find(around); got != kind {
				t.Errorf("%s is taken for %q", kind, got)
			}
			if got := secret.Redact(around); strings.Contains(got, text) || !strings.Contains(got, secret.Redacted) {
				t.Errorf("%s is left in %q", kind, got)
			}
			if got := secret.Mask([]byte(around)); len(got) != len(around) || bytes.Contains(got, []byte(text)) ||
				bytes.Count(got, []byte("\n")) != strings.Count(around, "\n") {
				t.Errorf("%s is masked as %q", kind, got)
			}
		}
	}
	for _, text := range []string{
		"", "checkout", "spiffe://shop.example/ns/shop/sa/web", "https://accounts.example/keys", "/cart/*",
		"10.20.0.0/16",
		"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "^/v[0-9]+/cart/.*$", "a bearer of news",
		"Basic training for everyone",
		"what the password=... parameter is", "sha256:" + strings.Repeat("ab", 32), "ghcr.io/meshc/meshc:latest",
		"the API key is elsewhere",
	} {
		if kind := secret.Find(text); kind != "" {
			t.Errorf("%q is taken for %s", text, kind)
		}
	}
}
