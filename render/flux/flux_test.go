package flux

import (
	"slices"
	"strings"
	"testing"

	kustomize "github.com/fluxcd/kustomize-controller/api/v1"
	sources "github.com/fluxcd/source-controller/api/v1"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/certificates"
	"github.com/meshc/meshc/render/kubernetes"
	"github.com/meshc/meshc/render/manifest"
	"github.com/meshc/meshc/render/manifest/manifesttest"
)

var update = manifesttest.Update()

func render(t *testing.T, m *ir.Mesh) []manifest.File {
	t.Helper()
	files, err := Mesh(m)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestGolden(t *testing.T) {
	for name, tags := range map[string][]string{
		"git": nil,
		"ssh": {"flux=ssh://git@git.example/shop", "delivery=static", "issuer=file"},
		"oci": {"flux=oci://registry.example/shop"},
	} {
		t.Run(name, func(t *testing.T) {
			manifesttest.Golden(t, name, render(t, manifesttest.Mesh(t, tags...)), update)
		})
	}
}

func TestNothingWithoutFlux(t *testing.T) {
	if files := render(t, manifesttest.Mesh(t, "flux=")); files != nil {
		t.Errorf("got %v", files)
	}
	m := manifesttest.Mesh(t)
	m.Gateways, m.Services = nil, nil
	if files := render(t, m); files != nil {
		t.Errorf("a mesh without a cluster has %v", files)
	}
}

// TestKustomizations: every path has a kustomization.yaml, all that the root
// applies is applied by one of them, and each waits for those before it.
func TestKustomizations(t *testing.T) {
	for _, tags := range [][]string{nil, {"delivery=static"}, {"issuer=embedded"}, {"issuer=file", "delivery=static"}} {
		m := manifesttest.Mesh(t, tags...)
		var listed []string
		for _, f := range output(t, m) {
			if f.Path == "kustomization.yaml" {
				k := manifesttest.Decode(t, manifesttest.Documents(t, f)[0],
					&manifest.Kustomization{}).(*manifest.Kustomization)
				listed = k.Resources
			}
		}
		var paths, seen []string
		for _, document := range manifesttest.Documents(t, file(t, render(t, m), kustomizationsFile)) {
			k := manifesttest.Decode(t, document, &kustomize.Kustomization{}).(*kustomize.Kustomization)
			paths = append(paths, strings.TrimPrefix(k.Spec.Path, "./clusters/prod/"))
			for _, before := range k.Spec.DependsOn {
				if !slices.Contains(seen, before.Name) {
					t.Errorf("%v: %s depends on %s, which does not stand before it", tags, k.Name, before.Name)
				}
			}
			seen = append(seen, k.Name)
			if k.Spec.Wait == (len(k.Spec.HealthChecks) > 0) || !k.Spec.Prune || k.Spec.Timeout == nil ||
				len(k.Name) > 63 || k.Namespace != "flux-system" {
				t.Errorf("%v: %+v", tags, k)
			}
			if k.Spec.SourceRef.Name != m.Name || k.Spec.SourceRef.Kind != "GitRepository" {
				t.Errorf("%v: %s has the source %+v", tags, k.Name, k.Spec.SourceRef)
			}
		}
		if !slices.Equal(paths, listed) || len(listed) < 4 {
			t.Errorf("%v: Flux applies %v, and kustomization.yaml lists %v", tags, paths, listed)
		}
	}
}

func TestSourceIsKnown(t *testing.T) {
	git := file(t, render(t, manifesttest.Mesh(t)), sourceFile)
	manifesttest.Decode(t, manifesttest.Documents(t, git)[0], &sources.GitRepository{})
	oci := file(t, render(t, manifesttest.Mesh(t, "flux=oci://registry.example/shop")), sourceFile)
	manifesttest.Decode(t, manifesttest.Documents(t, oci)[0], &sources.OCIRepository{})
}

// output is what Flux would find, as far as Kustomize's own files go.
func output(t *testing.T, m *ir.Mesh) []manifest.File {
	t.Helper()
	files, err := kubernetes.Mesh(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	certificates, err := certificates.Mesh(m)
	if err != nil {
		t.Fatal(err)
	}
	return append(files, certificates...)
}

func file(t *testing.T, files []manifest.File, path string) manifest.File {
	t.Helper()
	for _, f := range files {
		if f.Path == path {
			return f
		}
	}
	t.Fatalf("there is no %s", path)
	return manifest.File{}
}
