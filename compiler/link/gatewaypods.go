package link

import (
	"fmt"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// gatewayPods is what the pods of a gateway carry, and where they run. One without listeners has no Service for
// clients.
func (l *linker) gatewayPods(here place, g *ir.Gateway, p *spec.GatewayPods) ir.GatewayPods {
	if p == nil {
		return ir.GatewayPods{}
	}
	for _, key := range sortedKeys(p.ServiceAnnotations) {
		if len(g.Listeners) == 0 {
			l.add(diag.NoEffect, here.field("serviceAnnotations"), fmt.Sprintf(
				"serviceAnnotations cannot take effect: %s has no listeners, so it has no Service for clients", g.Name),
				here.pos(p.ServiceAnnotations[key].Pos)).hint("remove it")
			break
		}
	}
	out := ir.GatewayPods{
		Labels: texts(p.Labels), Annotations: texts(p.Annotations), NodeSelector: texts(p.NodeSelector),
		ServiceAnnotations: texts(p.ServiceAnnotations),
	}
	for _, t := range p.Tolerations {
		out.Tolerations = append(out.Tolerations, ir.Toleration{
			Key: t.Key.Value, Value: t.Taint.Value, Effect: t.Effect.Value,
		})
	}
	for _, of := range []struct {
		name string
		from map[string]spec.Field[string]
	}{
		{"labels", p.Labels}, {"annotations", p.Annotations}, {"serviceAnnotations", p.ServiceAnnotations},
	} {
		for _, key := range sortedKeys(of.from) {
			if strings.HasPrefix(key, "meshc.dev/") || strings.HasPrefix(key, "app.kubernetes.io/") {
				l.add(diag.OwnLabel, here.field(of.name), fmt.Sprintf("%s is written by meshc", key),
					here.pos(of.from[key].Pos)).
					hint("remove it, or give it a key of another domain")
			}
		}
	}
	return out
}

// texts are the values of a map; nil for none.
func texts(from map[string]spec.Field[string]) map[string]string {
	if len(from) == 0 {
		return nil
	}
	out := make(map[string]string, len(from))
	for key, f := range from {
		out[key] = f.Value
	}
	return out
}
