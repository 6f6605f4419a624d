package render

import (
	"encoding/json"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/kubernetes"
)

// PodTemplate is [kubernetes.PodTemplate] of a member, as text; "" for none.
func PodTemplate(scope ir.Scope) (string, error) {
	_, proxy, err := bootstrap(scope)
	if err != nil {
		return "", err
	}
	template := kubernetes.PodTemplate(scope, proxy)
	if template == nil {
		return "", nil
	}
	data, err := json.Marshal(template)
	return string(data), err
}
