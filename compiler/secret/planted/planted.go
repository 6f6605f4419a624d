// Package planted has secrets that nobody has, for tests to look for where they must
// not be.
package planted

import "strings"

// Secrets are by kind, in the words of secret.Find. They are put together here, so that
// this file holds none.
var Secrets = map[string]string{
	"a private key": "-----BEGIN EC " +
		"PRIVATE KEY-----\nMHcCAQEEIBkg4LVWM9nuwNSk3yByxZpYRTBnVJmZjk\n-----END EC PRIVATE KEY-----",
	"an access key of AWS":   "AKIA" + "IOSFODNN7EXAMPLE",
	"a token of GitHub":      "ghp_" + strings.Repeat("a1B2", 9),
	"a token of GitLab":      "glpat-" + strings.Repeat("xY3", 7),
	"a token of Slack":       "xoxb-" + "123456789012-abcdef",
	"a key of Google's API":  "AIza" + strings.Repeat("S", 35),
	"a key of Stripe":        "sk_live_" + strings.Repeat("4e", 10),
	"a token of npm":         "npm_" + strings.Repeat("a1", 18),
	"a token of Vault":       "hvs." + strings.Repeat("CAES", 7),
	"a key of age":           "AGE-SECRET-KEY-1" + strings.Repeat("Q", 58),
	"a private JSON Web Key": `{"kty":"EC","d":"` + strings.Repeat("s3cr", 8) + `"}`,
	"a JSON Web Token":       "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0" + ".dozjgNryP4J3jVmNHl0w5N",
	"a password in a URL":    "postgres://shop:" + "hunter22@db.example/shop",
	"a password":             "host=db password=" + "hunter22x",
	"credentials of HTTP":    "Bearer " + strings.Repeat("0a1b", 6),
}
