package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/ir"
)

const (
	bootstrapFile = "envoy.yaml"
	// maxConfigMap is how many bytes a ConfigMap may hold (Kubernetes, ConfigMap).
	maxConfigMap = 1 << 20
)

// bootstrapConfig holds what the member's proxies start from.
func bootstrapConfig(scope ir.Scope, bootstrap []byte) (*corev1.ConfigMap, error) {
	m := scope.Member()
	if len(bootstrap) > maxConfigMap {
		return nil, fmt.Errorf("the Envoy configuration of %s %s has %d bytes, and a ConfigMap holds %d", m.Kind, m.Name, len(bootstrap), maxConfigMap)
	}
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: meta(scope, configName(m.Name)),
		Data:       map[string]string{bootstrapFile: string(bootstrap)},
	}, nil
}

// configName has a dot, which keeps it apart from the ConfigMaps that teams name.
func configName(member string) string { return member + ".envoy" }

func bootstrapHash(bootstrap []byte) string {
	sum := sha256.Sum256(bootstrap)
	return hex.EncodeToString(sum[:8])
}
