package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/certificates"
)

const (
	bootstrapFile = "envoy.yaml"
	// maxConfigMap is how many bytes a ConfigMap may hold (Kubernetes, ConfigMap).
	maxConfigMap = 1 << 20
)

// Proxy is what a member's proxies start from.
type Proxy struct {
	Bootstrap []byte
	// Secrets are the files by which Envoy knows of the certificate, by name. They are
	// mounted beside it.
	Secrets map[string][]byte
}

// bootstrapConfig holds what the member's proxies start from.
func bootstrapConfig(scope ir.Scope, proxy Proxy) (*corev1.ConfigMap, error) {
	m := scope.Member()
	data, size := map[string]string{bootstrapFile: string(proxy.Bootstrap)}, len(proxy.Bootstrap)
	for name, content := range proxy.Secrets {
		data[name] = string(content)
		size += len(content)
	}
	if asksForCertificates(scope.Settings) {
		parameters, err := certificates.ParametersOf(scope)
		if err != nil {
			return nil, err
		}
		data[parametersFile] = string(parameters)
		size += len(parameters)
	}
	if size > maxConfigMap {
		return nil, fmt.Errorf("the Envoy configuration of %s %s has %d bytes, and a ConfigMap holds %d", m.Kind,
			m.Name, size, maxConfigMap)
	}
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: meta(scope, configName(m.Name)),
		Data:       data,
	}, nil
}

// configName has a dot, which keeps it apart from the ConfigMaps that teams name.
func configName(member string) string { return ir.PlainName(member) + ".envoy" }

func bootstrapHash(bootstrap []byte) string {
	sum := sha256.Sum256(bootstrap)
	return hex.EncodeToString(sum[:8])
}
