//go:build conformance

package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	gatewayv1beta1 "sigs.k8s.io/gateway-api/apis/v1beta1"
	"sigs.k8s.io/yaml"

	"github.com/meshc/meshc/importer"
)

// get gives each Gateway an address of its own.
func (l *lab) get(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object,
	opts ...client.GetOption,
) error {
	if err := c.Get(ctx, key, o, opts...); err != nil {
		return err
	}
	if g, ok := o.(*gatewayv1.Gateway); ok {
		kind := gatewayv1.HostnameAddressType
		address := g.Name + "." + g.Namespace + ".gateway"
		g.Status.Addresses = []gatewayv1.GatewayStatusAddress{{Type: &kind, Value: address}}
	}
	return nil
}

// watched are the calls of the suite that change objects.
func (l *lab) watched() interceptor.Funcs {
	return interceptor.Funcs{
		Get: l.get,
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			l.changed = true
			return c.Create(ctx, o, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			l.changed = true
			return c.Update(ctx, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch,
			opts ...client.PatchOption,
		) error {
			l.changed = true
			return c.Patch(ctx, o, p, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			l.changed = true
			return c.Delete(ctx, o, opts...)
		},
	}
}

// now is the mesh that the objects in the cluster make.
func (l *lab) now() (*world, error) {
	l.making.Lock()
	defer l.making.Unlock()
	if !l.changed && (l.world != nil || l.err != nil) {
		return l.compiled()
	}
	l.changed = false
	var all bytes.Buffer
	lists := []client.ObjectList{
		&corev1.NamespaceList{}, &corev1.ServiceList{}, &appsv1.DeploymentList{}, &corev1.ConfigMapList{},
		&discoveryv1.EndpointSliceList{},
		&gatewayv1.GatewayList{}, &gatewayv1.HTTPRouteList{}, &gatewayv1.GRPCRouteList{}, &gatewayv1.TLSRouteList{},
		&gatewayv1.TCPRouteList{}, &gatewayv1.ReferenceGrantList{},
		&gatewayv1beta1.ReferenceGrantList{}, &gatewayv1.ListenerSetList{},
		&gatewayv1.BackendTLSPolicyList{},
	}
	for _, list := range lists {
		if err := l.List(context.Background(), list); err != nil {
			return nil, err
		}
		kind, _, err := scheme.ObjectKinds(list)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(list)
		if err != nil {
			return nil, err
		}
		var items struct{ Items []map[string]any }
		if err := json.Unmarshal(text, &items); err != nil {
			return nil, err
		}
		for _, item := range items.Items {
			item["kind"] = strings.TrimSuffix(kind[0].Kind, "List")
			item["apiVersion"] = kind[0].GroupVersion().String()
			delete(item, "status")
			text, err := yaml.Marshal(item)
			if err != nil {
				return nil, err
			}
			all.WriteString("---\n" + string(text))
		}
	}
	if l.before != all.String() {
		l.before = all.String()
		l.world, l.err = made([]byte(l.before), func(o *importer.Object) bool { return true })
	}
	return l.compiled()
}

// compiled is the mesh; the error says why there is none.
func (l *lab) compiled() (*world, error) {
	if l.err == nil && l.world.mesh == nil {
		return nil, errors.New("it does not compile: " + l.world.wrong)
	}
	return l.world, l.err
}
