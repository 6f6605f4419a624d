package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cuelang.org/go/cmd/cue/cmd"
)

func meshc(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(args, strings.NewReader(""), &out, &err)
	return code, out.String(), err.String()
}

// cueVet runs the real cue in the working directory.
func cueVet(t *testing.T) (string, error) {
	t.Helper()
	c, err := cmd.New([]string{"vet", "./..."})
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	c.SetOutput(&stderr)
	err = c.Run(context.Background())
	return stderr.String(), err
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

// TestInitTeachesCUE wants cue, which knows nothing of meshc, to check the mesh.
func TestInitTeachesCUE(t *testing.T) {
	t.Chdir(t.TempDir())
	if code, _, stderr := meshc(t, "init", "shop"); code != exitGood {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	t.Chdir("shop")
	if out, err := cueVet(t); err != nil || out != "" {
		t.Fatalf("cue vet: %v\n%s", err, out)
	}
	file := filepath.Join("services", "frontend", "service.cue")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.Replace(data, []byte("methods:"), []byte("methodz:"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, _ := cueVet(t); !strings.Contains(out, "methodz: field not allowed") {
		t.Errorf("cue vet lets a typo pass: %s", out)
	}
	code, _, stderr := meshc(t, "vet")
	if code != exitFindings || strings.Count(stderr, "error MC") != 1 || !strings.Contains(stderr, `did you mean "methods"?`) {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

func TestInitOverwritesNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range [][]string{{"init", "."}, {"init", "a", "--mesh", "../b"}, {"init", "a", "--module", "a b"}, {"init"}, {"init", "file"}} {
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
