package config

import (
	"fmt"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
)

// Compiled are the resources that a mesh compiles to for a member's proxy. The options are those that the server of the
// running mesh has; of a mesh with static delivery the instance alone.
func Compiled(m *ir.Mesh, member ir.Ref, o envoy.Options, now time.Time) (Set, error) {
	var scope ir.Scope
	switch member.Kind {
	case ir.KindGateway:
		g := m.Gateway(member.Name)
		if g == nil {
			return nil, fmt.Errorf("the mesh has no %s", member)
		}
		scope = m.GatewayScope(g.InForce(now))
	default:
		s := m.Service(member.Name)
		if s == nil {
			return nil, fmt.Errorf("the mesh has no %s", member)
		}
		scope = m.ServiceScope(s.InForce(now))
	}
	if m.Delivery == ir.DeliveryStatic {
		boot, err := envoy.Bootstrap(scope, o)
		if err != nil {
			return nil, err
		}
		return setOf(listOf(Listener, boot.StaticResources.Listeners), listOf(Cluster, boot.StaticResources.Clusters))
	}
	r, err := envoy.Build(scope, o)
	if err != nil {
		return nil, err
	}
	return setOf(listOf(Listener, r.Listeners), listOf(Route, r.Routes), listOf(Cluster, r.Clusters),
		listOf(Secret, r.Secrets))
}

// listed are resources of one type.
type listed struct {
	kind      string
	resources []proto.Message
}

func listOf[T proto.Message](kind string, list []T) listed {
	out := listed{kind: kind}
	for _, m := range list {
		out.resources = append(out.resources, m)
	}
	return out
}

func setOf(lists ...listed) (Set, error) {
	out := Set{}
	for _, l := range lists {
		for _, m := range l.resources {
			r, err := ResourceOf(l.kind, m)
			if err != nil {
				return nil, err
			}
			out = append(out, r)
		}
	}
	return out, nil
}

// ResourceOf is a resource of a type, as JSON.
func ResourceOf(kind string, m proto.Message) (Resource, error) {
	body, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	return Resource{Type: kind, Name: cache.GetResourceName(m), Source: envoy.Source(m), Body: body}, err
}
