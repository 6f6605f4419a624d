package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// upPrintsGateways pastes the commands for a gateway whose hosts end TLS, and for one that asks for certificates and
// whose route asks for a header.
func upPrintsGateways(t *testing.T, binary string) {
	upPastes(t, binary, `
gateways: public: {
	listeners: {
		http: {port: 80, hosts: ["*.shop.example"], redirectTo: "https"}
		https: {port: 443, hosts: ["*.shop.example"], tls: secret: "shop"}
	}
	routes: [{match: path: prefix: "/", to: [{service: "web"}]}]
	uses: web: {}
}
gateways: staff: {
	listeners: https: {
		port: 8443, hosts: ["staff.example"], tls: {secret: "staff", clientCertificates: secret: "clients"}
	}
	routes: [{match: {path: prefix: "/admin/", headers: "x-staff": exact: "1"}, to: [{service: "web"}]}]
	uses: web: {}
}
services: web: {
	workload: deployment: "web"
	ports: http: {port: 8080, protocol: "http"}
	allow: [{from: gateways: ["public", "staff"], methods: ["GET"]}]
}
`, map[string]string{
		"gateway public works, 200 through web":  "200",
		"gateway public denied, 403, as no rule": "403",
		"gateway staff works, 200 through web":   "200",
		"gateway staff denied, 403, as no rule":  "403",
	})
}

// upPrintsCalls pastes the commands for a mesh without a gateway.
func upPrintsCalls(t *testing.T, binary string) {
	upPastes(t, binary, `
services: web: {workload: deployment: "web", uses: {cart: {}, orders: {}}}
services: cart: {
	workload: deployment: "cart"
	ports: http: {port: 7070, protocol: "http"}
	uses: orders: {}
	allow: [{from: services: ["web"], methods: ["GET"], paths: ["/cart/*"]}]
}
services: orders: {
	workload: deployment: "orders"
	ports: http: {port: 80, protocol: "http"}
	allow: [{from: services: ["web", "cart"]}]
}
`, map[string]string{
		"\nworks, 200 through cart → orders": "answered 200 by cart",
		"\ndenied, 403, as no rule":          "answered 403 by a proxy",
	})
}

// upPastes runs a mesh, pastes each command that stands below a text into a shell, and looks for what it prints.
func upPastes(t *testing.T, binary, spec string, says map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"cue.mod/module.cue": "module: \"up.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n",
		"mesh.cue":           "package shop\n\nmesh: {name: \"shop\", trustDomain: \"shop.example\", silence: MC1203: \"-\"}\n" + spec,
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	up := startUpOf(t, binary, dir, temporary)
	up.match(t, `service/web/a +current`)
	for text, want := range says {
		line := up.match(t, regexp.QuoteMeta(text)+`[^\n]*\n  ([^\n]+)\n`)[1]
		if strings.HasPrefix(line, "curl ") {
			line += ` --no-progress-meter --output /dev/null --write-out '%{http_code}'`
		}
		paste := exec.Command("sh", "-c", line)
		paste.Dir, paste.Env = t.TempDir(), up.Env
		if out, err := paste.CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v: %s", line, err, out)
		}
	}
	if err := up.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := up.wait(t); err != nil {
		t.Errorf("it ended with %v: %s", err, up.output())
	}
}
