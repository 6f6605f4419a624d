package ir

import "testing"

func TestImagesIn(t *testing.T) {
	for reference, want := range map[string]string{
		"ghcr.io/meshc/meshc:v1": "registry.example/mesh/meshc:v1",
		"meshc":                  "registry.example/mesh/meshc",
		"localhost:5000/a/b/meshc:v1@sha256:ab/cd": "registry.example/mesh/meshc:v1@sha256:ab/cd",
		"localhost:5000/meshc":                     "registry.example/mesh/meshc",
	} {
		if got := (Images{Meshc: reference}).In("registry.example/mesh").Meshc; got != want {
			t.Errorf("%s: got %s, want %s", reference, got, want)
		}
	}
}
