package check_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/compiletest"
)

const slowKeys = `
mesh: jwt: issuers: accounts: {issuer: "https://idp.example", jwks: url: "https://idp.example/keys"}
external: idp: {hosts: ["idp.example"], ports: https: {port: 443, protocol: "https"}}
external: db: {hosts: ["db.example"], ports: db: {port: 5432, protocol: "tcp"}}
services: frontend: {
	workload: deployment: "frontend"
	uses: cart: timeout: "1s"
}
services: cart: {
	workload: deployment: "cart"
	ports: http: {port: 8080, protocol: "http"}
	allow: [{from: services: ["frontend"], jwt: issuer: "accounts"}]
	USES
}
services: stock: {
	workload: deployment: "stock"
	ports: http: {port: 8080, protocol: "http"}
	allow: [{from: services: ["cart"]}]
}
`

// TestFindingsAreOfWhatIsThere wants calls to be judged by the requests that wait for them, and nothing to be found of
// what is only left out of a mesh with an error.
func TestFindingsAreOfWhatIsThere(t *testing.T) {
	use := func(text string) string { return strings.Replace(slowKeys, "USES", text, 1) }
	called := use("uses: stock: timeout: \"500ms\"")
	for name, c := range map[string]struct{ spec, want string }{
		"keys of tokens, which no request waits for": {called, ""},
		"connections, which no timeout bounds":       {use(`uses: {db: {}, stock: timeout: "500ms"}`), ""},
		"a call that outlives its caller": {
			use(`uses: {db: {}, idp: {}, stock: timeout: "500ms"}`),
			`MC1402 write uses: "idp": timeout: "1s" or less in services.cart`,
		},
		"tries that have to fit too": {
			use(`uses: stock: {timeout: "9s", retries: {attempts: 2, perTryTimeout: "3s"}}`),
			`MC1402 write uses: "stock": {timeout: "1s", retries: perTryTimeout: "333ms"} or less in services.cart`,
		},
		"a rule that is wrong is a rule": {
			strings.Replace(called, `issuer: "accounts"}]`, `issuer: "acounts"}]`, 1),
			`MC1107 did you mean "accounts"?`,
		},
		"a caller who is left out waits": {
			strings.Replace(use(`uses: stock: timeout: "5s"`), `["frontend"]`,
				`["frontend", "admin"]`, 1) +
				`services: admin: {workload: deployment: "admin", uses: cart: {ports: ["https"], timeout: "9s"}}`,
			`MC1104 did you mean "http"?`,
		},
		"a match that is wrong hides nothing": {
			called + `services: stock: routes: [{match: grpc: {}}, {match: path: prefix: "/a"}]`,
			`MC0208 grpc: service: "shop.Checkout"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := compiletest.Compile(t, t.TempDir(),
				map[string]string{
					"mesh.cue": "package shop\n\nmesh: {name: \"shop\", trustDomain: \"shop.example\"}\n" + c.spec,
				})
			var got []string
			for _, d := range r.Diagnostics {
				got = append(got, fmt.Sprintf("%s %s", d.Code, d.Hint))
			}
			if strings.Join(got, "\n") != c.want {
				t.Errorf("found:\n%s\nwant:\n%s", strings.Join(got, "\n"), c.want)
			}
		})
	}
}
