package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/host/local"
	"github.com/meshc/meshc/review/config"
	"github.com/meshc/meshc/serve"
)

const configMesh = `package shop

mesh: {name: "shop", trustDomain: "shop.example", silence: {MC1701: "-", MC1704: "-"}}
services: {
	web: {
		workload: deployment: "web"
		uses: cart: timeout: "3s"
	}
	cart: {
		workload: deployment: "cart"
		ports: http: {port: 7070, protocol: "http"}
		allow: [{from: services: ["web"]}]
	}
}
`

// configured is a running mesh in the working directory: the admin address of its server, and those of its Envoys by
// node id.
func configured(t *testing.T) (server string, envoys map[string]string) {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	writeAll(t, dir, map[string]string{"cue.mod/module.cue": moduleText, "mesh.cue": configMesh})
	r, err := compiler.Compile(t.Context(), compiler.Options{Dir: dir})
	if err != nil || r.Mesh == nil {
		t.Fatal(err, r)
	}
	m, err := local.Start(t.Context(), local.Options{Mesh: r.Mesh})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Stop(); err != nil {
			t.Error(err)
		}
	})
	envoys = map[string]string{}
	for _, p := range m.Status().Proxies {
		envoys[p.ID] = p.Admin
	}
	return m.ServerAdmin(), envoys
}

// TestConfig shows the configuration of a running Envoy, of one that differs, and of one that nobody can reach.
func TestConfig(t *testing.T) {
	server, envoys := configured(t)
	at := envoys["service/web/a"]
	hash := regexp.MustCompile(`\b[0-9a-f]{8}\b`)
	shown := func(code int, args ...string) string {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if got := run(append([]string{"config"}, args...), strings.NewReader(""), &stdout, &stderr); got != code {
			t.Fatalf("config %v exits with %d and not %d: %s%s", args, got, code, stdout.String(), stderr.String())
		}
		return strings.NewReplacer(server, "SERVER", at, "ENVOY").Replace(
			hash.ReplaceAllString(stdout.String()+stderr.String(), "HASH"))
	}
	columns := regexp.MustCompile(` {2,}`)
	same(t, columns.ReplaceAllString(shown(exitGood, "web", "--server", server, "--envoy", at), " "), `
service/web/a
 compiled: the mesh that meshc up runs on this machine
 served: meshc serve at SERVER
 envoy: ENVOY

TYPE NAME LINE COMPILED SERVED ENVOY
LDS outbound|cart.default|http mesh.cue:7:9 HASH HASH HASH
RDS outbound|cart.default|http mesh.cue:7:9 HASH HASH HASH
CDS cart.default|http mesh.cue:7:9 HASH HASH HASH
EDS cart.default|http|HASH - - HASH HASH
SDS trust - HASH HASH HASH
`)
	answer, err := http.Get("http://" + at + "/config_dump?include_eds")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	dump, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "dump.json")
	if err := os.WriteFile(file, bytes.ReplaceAll(dump, []byte(`"timeout": "3s"`), []byte(`"timeout": "4s"`)), 0o600); err != nil {
		t.Fatal(err)
	}
	got := shown(exitFindings, "service", "web", "--server", server, "--dump", file)
	if !strings.Contains(got, "\n-      timeout: 3s\n+      timeout: 4s\n") {
		t.Errorf("it does not show the other timeout:\n%s", got)
	}
	var report configReport
	var stdout bytes.Buffer
	all := []string{"config", "web", "--server", server, "--dump", file, "-o", "json"}
	if code := run(all, strings.NewReader(""), &stdout, io.Discard); code != exitFindings {
		t.Errorf("it exits with %d", code)
	}
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Resources {
		if r.Served == nil || r.Envoy == nil || r.Differs != (r.Type == "RDS") || r.Differs != (*r.Envoy != *r.Served) {
			t.Errorf("%+v: %v, %v", r, r.Served, r.Envoy)
		}
	}
	got = shown(exitGood, "web", "--server", server, "-o", "yaml", "--resource", "cart.default|http")
	if !strings.Contains(got, "\nname: cart.default|http\n") || strings.Count(got, "---\n") != 1 {
		t.Errorf("%s", got)
	}
}

// TestConfigSaysWhatIsWrong asks for what nobody can show.
func TestConfigSaysWhatIsWrong(t *testing.T) {
	server, envoys := configured(t)
	file := filepath.Join(t.TempDir(), "dump.json")
	if err := os.WriteFile(file, []byte(`{"configs": [{"clusters": []}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"the mesh shop has no service or gateway \"mail\"":                    {"mail"},
		"the mesh shop has no gateway \"cart\"":                               {"gateway", "cart"},
		`kind "external" is not service or gateway`:                           {"external", "cart"},
		`output is "xml" and must be table, yaml or json`:                     {"cart", "-o", "xml"},
		"is of the proxy service/web/a, and not of service cart":              {"cart", "--envoy", envoys["service/web/a"]},
		"is of the proxy service/web/a, and not of the instance b":            {"web", "--envoy", envoys["service/web/a"], "--instance", "b"},
		"does not hold a config_dump of Envoy":                                {"web", "--dump", file},
		"the dump cannot be read: no such file or directory":                  {"web", "--dump", file + ".not"},
		"no Envoy answers at 127.0.0.1:1: is this its admin address?":         {"web", "--envoy", "127.0.0.1:1"},
		"no meshc serve answers at 127.0.0.1:1":                               {"web", "--server", "127.0.0.1:1"},
		"no proxy of service web, instance b, is connected to meshc serve at": {"web", "--instance", "b"},
		"service web has no resource outbound":                                {"web", "--resource", "outbound"},
		"--envoy and --dump are two places of one configuration: give one of": {"web", "--envoy", "a", "--dump", "b"},
	} {
		var stdout, stderr bytes.Buffer
		all := append([]string{"config", "--server", server}, args...)
		if code := run(all, strings.NewReader(""), &stdout, &stderr); code != exitFault || !strings.Contains(stderr.String(), want) {
			t.Errorf("config %v exits with %d and says %s, and not %s", args, code, stderr.String(), want)
		}
	}
}

// TestNamesOfOthersBeginNoLine: names and notes in the dump of an Envoy, and what proxies say when they refuse
// something, are theirs. None begins a line, where it would look like one of meshc's own.
func TestNamesOfOthersBeginNoLine(t *testing.T) {
	const name = "a\nforged: 1"
	version := func(hash string) *config.Version {
		return &config.Version{Hash: hash, Body: "x: " + hash + "\n", Note: "refused\nforged"}
	}
	c := &comparison{
		node: "service/cart/" + name, places: [3]string{"a", "b", "c"},
		rows: []config.Row{{
			Type: config.Cluster, Name: name, Differs: true,
			Compiled: version("1"), Served: version("2"), Envoy: version("3"),
		}},
	}
	report := &serve.Report{
		Failure: "wrong\nforged", Endpoints: "wrong\nforged",
		Proxies: []serve.Proxy{{
			Node: "service/cart/a", Excepted: "gone\nforged",
			Types: []serve.TypeStatus{{Refusals: []serve.Refusal{{Reason: "no\nforged\n\nforged"}}}},
		}},
	}
	for what, print := range map[string]func(io.Writer) error{
		"table": c.printTable, "yaml": c.printBodies, "status": func(w io.Writer) error { return printStatus(w, report) },
	} {
		var out strings.Builder
		if err := print(&out); err != nil || !strings.Contains(out.String(), "forged") {
			t.Errorf("%s: %v\n%s", what, err, out.String())
		}
		if strings.Contains(out.String(), "\nforged") {
			t.Errorf("%s has a line of others:\n%s", what, out.String())
		}
	}
}
