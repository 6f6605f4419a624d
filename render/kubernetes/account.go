package kubernetes

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/manifest"
)

// sharedBase is the file with the accounts that several services of a namespace share. No member has such a name.
const sharedBase = "accounts.shared.yaml"

// everyNamespace is the account that Kubernetes makes in every namespace, and that is left as it is.
const everyNamespace = "default"

func hasAccount(s *ir.Service) bool { return s.Account != everyNamespace }

// sharedAccounts are those that several of the services have, each once.
func sharedAccounts(settings *ir.Settings, services []*ir.Service) []any {
	var out []any
	made := map[string]bool{}
	for _, s := range services {
		if s.Shared && hasAccount(s) && !made[s.Account] {
			made[s.Account] = true
			out = append(out, manifest.Object(&corev1.ServiceAccount{
				TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
				ObjectMeta: meshMeta(settings, s.Namespace, s.Account),
			}))
		}
	}
	return out
}

// serviceAccount is the account that the member's identity is made of.
func serviceAccount(scope ir.Scope) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta: meta(scope, scope.Member().Account),
	}
}
