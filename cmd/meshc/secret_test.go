package main

import (
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/secret/planted"
)

// places are where a secret may come to stand in a spec; %s is the secret, quoted.
var places = map[string]string{
	"a header":             `services: cart: routes: [{headers: request: set: "x-key": %s}]`,
	"an answer":            `services: cart: routes: [{match: path: exact: "/k", directResponse: {status: 200, body: %s}}, {}]`,
	"a match":              `services: cart: routes: [{match: headers: "x-a": exact: %s}, {}]`,
	"a field that is none": `services: cart: timeot: %s`,
	"the wrong type":       `services: cart: timeout: %s`,
	"a name":               `services: cart: uses: {(%s): {}}`,
	"a host":               `external: db: {hosts: [%s], ports: tcp: {port: 5432, protocol: "tcp"}}`,
	"a conflict":           `services: cart: namespace: %s`,
	"keys of a JWT issuer": `mesh: jwt: issuers: a: {issuer: "https://a.example", jwks: inline: %s}`,
	"a URL":                `mesh: jwt: issuers: a: {issuer: "https://a.example", jwks: url: %s}`,
	"an address":           `services: other: {workload: endpoints: [{address: %s}], ports: http: {port: 8080, protocol: "http"}}`,
	"a hidden field":       `_key: %s` + "\n" + `services: cart: workload: deployment: _key`,
	"a broken line":        `services: cart: key: %s ]`,
	"a comment":            `services: cart: timeot: "1s" // %s`,
	"a call":               `services: cart: timeout: strconv.Atoi(%s)`,
	"a disjunction":        `services: cart: timeout: "1s" | %s`,
}

// refused are the places from which the secret would come into the mesh.
var refused = []string{
	"a header", "an answer", "a match", "a name", "a host", "keys of a JWT issuer", "a URL",
	"an address", "a hidden field",
}

// TestPlantedSecretsAreShownNowhere plants secrets of every kind in every place of a
// spec, and looks for them in all that each command says and writes, the cache
// included.
func TestPlantedSecretsAreShownNowhere(t *testing.T) {
	if len(planted.Secrets) < 10 {
		t.Fatalf("%d kinds of secrets", len(planted.Secrets))
	}
	program, err := os.Executable() // which is meshc too, by the name it is called
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	meshc := filepath.Join(bin, "meshc")
	if err := os.Symlink(program, meshc); err != nil {
		t.Fatal(err)
	}
	for place, text := range places {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			for kind, secret := range planted.Secrets {
				dir := t.TempDir()
				for name, content := range map[string]string{
					"cue.mod/module.cue": "module: \"shop.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n",
					"mesh.cue":           "package shop\n\nmesh: {name: \"shop\", trustDomain: \"shop.example\"}\nservices: cart: {\n\tworkload: deployment: \"cart\"\n\tnamespace: \"shop\"\n\tports: http: {port: 8080, protocol: \"http\"}\n}\n",
					"planted.cue": "package shop\n\n" + strings.ReplaceAll(text, "%s", strconv.Quote(secret)) +
						"\n",
				} {
					path := filepath.Join(dir, name)
					if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				absent := func(where, text string) {
					t.Helper()
					for _, part := range shapes(secret) {
						if strings.Contains(text, part) {
							t.Errorf("%s: %s is in %s:\n%s", place, kind, where, text)
							return
						}
					}
				}
				for _, args := range [][]string{
					{"vet"},
					{"vet", "--format", "json"},
					{"vet", "--format", "sarif"},
					{"vet", "--format", "github"},
					{"compile", "--out", "out"},
					{"compile", "--untrusted", "--out", "out"},
					{"describe", "cart"},
				} {
					c := exec.Command(meshc, args...)
					c.Dir = dir
					c.Env = append(os.Environ(), "MESHC_CACHE="+filepath.Join(dir, ".cache"))
					said, err := c.CombinedOutput()
					if err == nil && slices.Contains(refused, place) {
						t.Errorf("%s: %s passes meshc %s", place, kind, strings.Join(args, " "))
					}
					absent(fmt.Sprintf("what meshc %s says", strings.Join(args, " ")), string(said))
				}
				for _, written := range []string{"out", ".cache"} {
					err := filepath.WalkDir(filepath.Join(dir, written),
						func(path string, e fs.DirEntry, err error) error {
							if err != nil || e.IsDir() {
								return nil // there may be none
							}
							data, err := os.ReadFile(path)
							absent(path, string(data))
							return err
						})
					if err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

// shapes are how a secret may show: as it is, quoted, encoded, and the longest line of
// one that has several.
func shapes(secret string) []string {
	longest := ""
	for line := range strings.Lines(secret) {
		if line = strings.TrimSpace(line); len(line) > len(longest) {
			longest = line
		}
	}
	quoted := strconv.Quote(secret)
	return []string{longest, quoted[1 : len(quoted)-1], base64.StdEncoding.EncodeToString([]byte(secret))}
}
