package secret

import (
	"slices"
	"strings"
)

// names are parts of names of headers, parameters, fields and variables whose values are secret. They have neither "-",
// "_" nor ".".
var names = []string{
	"authorization", "cookie", "password", "passwd", "passphrase", "apikey", "clientsecret", "privatekey", "accesskey",
	"accesstoken", "refreshtoken", "idtoken", "jointoken", "authtoken", "securitytoken", "sessionid", "csrf", "xsrf",
	"signature", "credential",
}

// Named reports whether the value of a header, a parameter, a field or a variable of that name is secret, whatever it
// looks like.
func Named(name string) bool {
	plain := Plain(name)
	return plain == "token" || plain == "secret" || plain == "sig" ||
		slices.ContainsFunc(names, func(part string) bool { return strings.Contains(plain, part) })
}

// Plain is a name in small letters, without "-", "_" and ".".
func Plain(name string) string {
	return strings.NewReplacer("-", "", "_", "", ".", "").Replace(strings.ToLower(name))
}
