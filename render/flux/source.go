package flux

import (
	"strings"
	"time"

	kustomize "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sources "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/ir"
)

// source is where Flux finds the output directory, a Git repository or an OCI
// artifact, and how Kustomizations name it.
func source(settings *ir.Settings) (any, kustomize.CrossNamespaceSourceReference) {
	f := settings.Flux
	interval := metav1.Duration{Duration: time.Duration(f.Interval)}
	m := objectMeta(settings, settings.Name)
	if strings.HasPrefix(f.URL, "oci://") {
		artifact := &sources.OCIRepository{
			TypeMeta:   metav1.TypeMeta{APIVersion: sources.GroupVersion.String(), Kind: sources.OCIRepositoryKind},
			ObjectMeta: m,
			Spec: sources.OCIRepositorySpec{
				URL: f.URL, Interval: interval,
				Reference: &sources.OCIRepositoryRef{Tag: f.Tag},
			},
		}
		if f.VerifySecret != "" {
			artifact.Spec.Verify = &sources.OCIRepositoryVerification{
				Provider: "cosign", SecretRef: &meta.LocalObjectReference{Name: f.VerifySecret},
			}
		}
		return artifact, kustomize.CrossNamespaceSourceReference{Kind: sources.OCIRepositoryKind, Name: m.Name}
	}
	git := &sources.GitRepository{
		TypeMeta:   metav1.TypeMeta{APIVersion: sources.GroupVersion.String(), Kind: sources.GitRepositoryKind},
		ObjectMeta: m,
		Spec: sources.GitRepositorySpec{
			URL: f.URL, Interval: interval,
			Reference: &sources.GitRepositoryRef{Branch: f.Branch},
		},
	}
	if strings.HasPrefix(f.URL, "ssh://") {
		// SSH always needs a key; this Secret has it (source-controller, GitRepository,
		// SSH authentication). Who may read the repository makes it.
		git.Spec.SecretRef = &meta.LocalObjectReference{Name: m.Name}
	}
	return git, kustomize.CrossNamespaceSourceReference{Kind: sources.GitRepositoryKind, Name: m.Name}
}
