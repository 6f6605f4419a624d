package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/load"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

func meshc(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(args, strings.NewReader(""), &out, &err)
	return code, out.String(), err.String()
}

// cueVet is what "cue vet ./..." says of the module in the working directory: the command loads and validates so.
// Building it would compile 76 packages that nothing else needs.
func cueVet() error {
	for _, instance := range load.Instances([]string{"./..."}, nil) {
		if instance.Err != nil {
			return instance.Err
		}
		if err := cuecontext.New().BuildInstance(instance).Validate(cue.Attributes(true), cue.Definitions(true),
			cue.Hidden(true), cue.Concrete(false)); err != nil {
			return err
		}
	}
	return nil
}

func TestInitMakesAMeshThatCompiles(t *testing.T) {
	t.Setenv("MESHC_CACHE", "off")
	t.Chdir(t.TempDir())
	if code, _, stderr := meshc(t, "init", "my-shop"); code != exitGood {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	t.Chdir("my-shop")
	if code, _, stderr := meshc(t, "vet"); code != exitGood || stderr != "" {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if code, _, stderr := meshc(t, "compile", "-o", "out"); code != exitGood || stderr != "" {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// A stranger goes on as init and the README say: what is applied after the mesh are their own workloads, with proxies.
func TestInitForKubectl(t *testing.T) {
	t.Setenv("MESHC_CACHE", "off")
	t.Chdir(t.TempDir())
	code, stdout, stderr := meshc(t, "init", "my-shop")
	if code != exitGood || !strings.Contains(stdout, "kubectl apply -k out\n") ||
		!strings.Contains(stdout, "kubectl apply -k apps ") {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	t.Chdir("my-shop")
	if code, _, stderr := meshc(t, "compile", "-o", "out"); code != exitGood || stderr != "" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	if built := build(t, "apps"); built != "" {
		t.Errorf("without workloads there is something to apply:\n%s", built)
	}
	workloads := ""
	for _, name := range []string{"frontend", "backend", "backend-v2"} {
		workloads += "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: " + name +
			"}\nspec: {template: {spec: {containers: [{name: app}]}}}\n---\n"
	}
	list(t, "apps", "workloads.yaml", workloads)
	if built := build(t, "apps"); strings.Count(built, "name: mesh-proxy\n") != 3 ||
		strings.Count(built, "namespace: my-shop\n") != 3 {
		t.Errorf("these are not three Deployments with proxies:\n%s", built)
	}
	if built := build(t, "out"); !strings.Contains(built, "name: meshc-authority\n") ||
		!strings.Contains(built, "name: public\n") {
		t.Errorf("the mesh has no authority, or no gateway:\n%s", built)
	}
}

// list puts a file beside the kustomization.yaml that init has laid out, and into it.
func list(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "kustomization.yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.Replace(data, []byte("resources: []"), []byte("resources: ["+name+"]"), 1),
		0o644); err != nil {
		t.Fatal(err)
	}
}

// build is what kubectl kustomize writes of a directory: it reads nothing above but by components.
func build(t *testing.T, dir string) string {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	text, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What Flux is pointed at builds, once the mesh is compiled, and a workload gets its
// proxy.
func TestInitForFlux(t *testing.T) {
	t.Setenv("MESHC_CACHE", "off")
	t.Chdir(t.TempDir())
	if code, _, stderr := meshc(t, "init", "my-shop", "--flux", "ftp://nowhere"); code != exitFault ||
		!strings.Contains(stderr, "not a valid URL of a Git repository") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if code, stdout, stderr := meshc(t, "init", "my-shop", "--flux",
		"https://git.example/my-shop.git"); code != exitGood || !strings.Contains(stdout, "compile -o ../out") {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	t.Chdir("my-shop/mesh")
	if code, _, stderr := meshc(t, "compile", "-o", "../out"); code != exitGood || stderr != "" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	t.Chdir("..")
	const workload = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: frontend}\nspec: {template: {spec: {containers: [{name: app}]}}}\n"
	list(t, "apps/production", "frontend.yaml", workload)
	for dir, want := range map[string][]string{
		"clusters/production": {
			"path: ./out/flux\n", "name: my-shop-apps\n", "path: ./infrastructure\n",
			"name: flux-system\n",
		},
		"out/flux":        {"name: my-shop-server\n", "url: https://git.example/my-shop.git\n"},
		"infrastructure":  {"kind: ClusterIssuer"},
		"apps/production": {"name: mesh-proxy\n", "namespace: my-shop\n"},
		"out":             {"kind: Certificate\n"},
	} {
		generate(t, dir)
		options := krusty.MakeDefaultOptions()
		options.LoadRestrictions = types.LoadRestrictionsNone // as Flux builds
		built, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), dir)
		if err != nil {
			t.Errorf("%s: %v", dir, err)
			continue
		}
		text, err := built.AsYaml()
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range want {
			if !strings.Contains(string(text), part) {
				t.Errorf("%s has no %q:\n%s", dir, part, text)
			}
		}
	}
}

// generate writes a kustomization.yaml into a directory without one, as Flux does.
func generate(t *testing.T, dir string) {
	t.Helper()
	file := filepath.Join(dir, "kustomization.yaml")
	if _, err := os.Stat(file); err == nil {
		return
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := "resources:\n"
	for _, name := range names {
		text += "- " + filepath.Base(name) + "\n"
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestInitTeachesCUE wants cue, which knows nothing of meshc, to check the mesh.
func TestInitTeachesCUE(t *testing.T) {
	t.Chdir(t.TempDir())
	if code, _, stderr := meshc(t, "init", "shop"); code != exitGood {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	t.Chdir("shop")
	if err := cueVet(); err != nil {
		t.Fatalf("cue vet: %v", err)
	}
	file := filepath.Join("services", "frontend", "service.cue")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.Replace(data, []byte("methods:"), []byte("methodz:"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := cueVet(); err == nil || !strings.Contains(err.Error(), "methodz: field not allowed") {
		t.Errorf("cue vet lets a typo pass: %v", err)
	}
	code, _, stderr := meshc(t, "vet")
	if code != exitFindings || strings.Count(stderr, "error MC") != 1 ||
		!strings.Contains(stderr, `did you mean "methods"?`) {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

func TestInitOverwritesNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range [][]string{
		{"init", "."},
		{"init", "a", "--mesh", "../b"},
		{"init", "a", "--module", "a b"},
		{"init"},
		{"init", "file"},
	} {
		if err := os.WriteFile("file", []byte("mine"), 0o644); err != nil {
			t.Fatal(err)
		}
		if code, _, stderr := meshc(t, args...); code != exitFault || stderr == "" {
			t.Errorf("%v: exit code %d: %s", args, code, stderr)
		}
		entries, err := os.ReadDir(".")
		if err != nil || len(entries) != 1 {
			t.Errorf("%v: %v %v", args, entries, err)
		}
	}
}
