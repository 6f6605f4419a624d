package render

import (
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/render/kubernetes"
)

// Inject is a stream of manifests with the sidecars of the mesh in its workloads; see
// [kubernetes.Injector]. The namespace is that of manifests which name none; note is told what
// passes through and may not be meant to.
func Inject(stream []byte, m *ir.Mesh, namespace string, note func(text string)) ([]byte, error) {
	i := kubernetes.Injector{Mesh: m, Namespace: namespace, Note: note, Proxy: func(scope ir.Scope) (kubernetes.Proxy,
		error,
	) {
		_, proxy, err := bootstrap(scope)
		return proxy, err
	}}
	return i.Inject(stream)
}

// bootstrap is what a member's proxies start from, as YAML and as it is mounted.
func bootstrap(scope ir.Scope) ([]byte, kubernetes.Proxy, error) {
	boot, err := envoy.Bootstrap(scope, envoy.Options{})
	if err != nil {
		return nil, kubernetes.Proxy{}, err
	}
	yaml, err := envoy.YAML(boot)
	if err != nil {
		return nil, kubernetes.Proxy{}, err
	}
	secrets, err := envoy.SecretFiles(scope.Member().Proxy.CertificateDirectory, scope.Settings.TrustDomain)
	return yaml, kubernetes.Proxy{Bootstrap: yaml, Secrets: secrets}, err
}
