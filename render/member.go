package render

import (
	"fmt"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/certificates"
	"github.com/meshc/meshc/render/kubernetes"
	"github.com/meshc/meshc/render/manifest"
)

// member renders all files of one member. They depend on its Scope alone.
func member(scope ir.Scope) ([]manifest.File, error) {
	m := scope.Member()
	yaml, proxy, err := bootstrap(scope)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", m.Kind, m.Name, err)
	}
	files := []manifest.File{{
		Path: "envoy/" + m.Namespace + "/" + m.PlainName() + ".yaml",
		Data: append([]byte(manifest.Header), yaml...),
	}}
	certificate, err := certificates.Member(scope)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", m.Kind, m.Name, err)
	}
	files = append(files, certificate)
	manifests, err := kubernetes.Member(scope, proxy)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", m.Kind, m.Name, err)
	}
	return append(files, manifests...), nil
}
