package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/meshc/meshc/schema"
)

// generate writes a mesh repository of that many units, each with a service:
// two ports, two routes with a split, timeout and retries, two allow rules,
// three uses. With the schema in its root, cue alone can check it.
func generate(dir string, units int, withSchema bool) error {
	files := map[string]string{
		"cue.mod/module.cue": "module: \"bench.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n",
		"mesh.cue":           rootFile,
	}
	if withSchema {
		names, err := fs.Glob(schema.FS, "*.cue")
		if err != nil {
			return err
		}
		for _, name := range names {
			data, err := fs.ReadFile(schema.FS, name)
			if err != nil {
				return err
			}
			files["schema-"+strings.TrimSuffix(name, ".cue")+"-file.cue"] = strings.Replace(string(data),
				"package schema", "package bench", 1)
		}
		files["schema-root.cue"] = "package bench\n\n#Repository\n"
	}
	for name, content := range files {
		if err := write(filepath.Join(dir, name), content); err != nil {
			return err
		}
	}
	for i := range units {
		if err := write(unitFile(dir, i), unit(i, units)); err != nil {
			return err
		}
	}
	return nil
}

func write(name, content string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(content), 0o644)
}

func unitFile(dir string, i int) string {
	return filepath.Join(dir, "services", fmt.Sprintf("team-%02d", i/100), serviceName(i), "service.cue")
}

func serviceName(i int) string { return fmt.Sprintf("service-%05d", i) }

const rootFile = `package bench

mesh: {
	name:        "bench"
	trustDomain: "bench.example"
}

services: [Name=string]: {
	namespace: *"bench" | string
	timeout:   *"5s" | string
	mtls:      "strict"
}
`

// callSteps are the distances of a service's callees.
var callSteps = []int{1, 7, 13}

// unit is the service i: it calls three others, and lets those in that call it.
func unit(i, units int) string {
	at := func(step int) string { return serviceName(((i+step)%units + units) % units) }
	return fmt.Sprintf(`package bench

services: %[1]q: {
	workload: deployment: %[1]q
	ports: {
		http: {port: 8080, protocol: "http"}
		admin: {port: 9090, protocol: "http"}
	}
	versions: {
		v1: labels: version: "v1"
		v2: labels: version: "v2"
	}
	routes: [
		{
			name: "beta"
			match: headers: "x-beta": exact: "1"
			to: [{version: "v2"}]
		},
		{
			name: "split"
			match: path: prefix: "/api/"
			to: [{version: "v1", weight: 90}, {version: "v2", weight: 10}]
			timeout: "3s"
			retries: {
				attempts:      2
				perTryTimeout: "600ms"
				on: ["unavailable", "reset"]
			}
		},
	]
	uses: {
		%[2]q: {}
		%[3]q: timeout: "2s"
		%[4]q: retries: attempts: 1
	}
	allow: [
		{from: services: [%[5]q, %[6]q], methods: ["GET", "POST"], paths: ["/api/*"], ports: ["http"]},
		{from: services: [%[7]q]},
	]
}
`, serviceName(i), at(callSteps[0]), at(callSteps[1]), at(callSteps[2]),
		at(-callSteps[0]), at(-callSteps[1]), at(-callSteps[2]))
}
