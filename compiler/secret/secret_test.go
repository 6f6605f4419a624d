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
	for _, shown := range []string{"hunter2", fmt.Sprintf("%x", "hunter2"), fmt.Sprintf("%X", "hunter2"), "104 117 110", "0x68", "aHVudGVyMg"} {
		if strings.Contains(out.String(), shown) {
			t.Errorf("%q is shown in\n%s", shown, out.String())
		}
	}
	if string(v.Reveal()) != "hunter2" {
		t.Error("it is not what was held")
	}
}

// Planted are secrets that nobody has, of each kind. They are put together here, so
// that this file holds none.
var planted = map[string]string{
	"a private key":         "-----BEGIN EC " + "PRIVATE KEY-----\nMHcCAQEEIBkg4LVWM9nuwNSk3yByxZpYRTBnVJmZjk\n-----END EC PRIVATE KEY-----",
	"an access key of AWS":  "AKIA" + "IOSFODNN7EXAMPLE",
	"a token of GitHub":     "ghp_" + strings.Repeat("a1B2", 9),
	"a token of GitLab":     "glpat-" + strings.Repeat("xY3", 7),
	"a token of Slack":      "xoxb-" + "123456789012-abcdef",
	"a key of Google's API": "AIza" + strings.Repeat("S", 35),
	"a key of Stripe":       "sk_live_" + strings.Repeat("4e", 10),
	"a token of npm":        "npm_" + strings.Repeat("a1", 18),
	"a token of Vault":      "hvs." + strings.Repeat("CAES", 7),
	"a key of age":          "AGE-SECRET-KEY-1" + strings.Repeat("Q", 58),
	"a JSON Web Token":      "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0" + ".dozjgNryP4J3jVmNHl0w5N",
	"a password in a URL":   "postgres://shop:" + "hunter22@db.example/shop",
	"a password":            "host=db password=" + "hunter22x",
	"credentials of HTTP":   "Bearer " + strings.Repeat("0a1b", 6),
}

func TestFind(t *testing.T) {
	for kind, text := range planted {
		for _, around := range []string{text, "x: \"" + text + "\"", "before " + text + " after"} {
			if got := secret.Find(around); got != kind {
				t.Errorf("%s is taken for %q", kind, got)
			}
			if got := secret.Redact(around); strings.Contains(got, text) || !strings.Contains(got, secret.Redacted) {
				t.Errorf("%s is left in %q", kind, got)
			}
			if got := secret.Mask([]byte(around)); len(got) != len(around) || bytes.Contains(got, []byte(text)) || bytes.Count(got, []byte("\n")) != strings.Count(around, "\n") {
				t.Errorf("%s is masked as %q", kind, got)
			}
		}
	}
	for _, text := range []string{
		"", "checkout", "spiffe://shop.example/ns/shop/sa/web", "https://accounts.example/keys", "/cart/*", "10.20.0.0/16",
		"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "^/v[0-9]+/cart/.*$", "a bearer of news", "Basic training for everyone",
		"what the password=... parameter is", "sha256:" + strings.Repeat("ab", 32), "ghcr.io/meshc/meshc:latest", "the API key is elsewhere",
	} {
		if kind := secret.Find(text); kind != "" {
			t.Errorf("%q is taken for %s", text, kind)
		}
	}
}
