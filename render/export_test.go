package render

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/render/live"
	"github.com/meshc/meshc/render/meshfile"
)

// Read is what of a mesh each member's proxies and files are made of, and what they came to: by "service NAME" and
// "gateway NAME".
type Read map[string]made

// made are the sums of the parts of a member's Scope, and of what is rendered from it: its proxies' bootstraps and
// resources, and all of its files.
type made struct {
	proxyPart, deploymentPart ir.Sum
	proxy, files              [sha256.Size]byte
}

// ReadBy renders every member of a mesh, in which nothing has a place, as places are not what is read.
func ReadBy(t *testing.T, m *ir.Mesh) Read {
	t.Helper()
	m = m.Clone()
	dropPlaces(reflect.ValueOf(m).Elem())
	proxy, deployment := ir.Hasher{Part: ir.ProxyPart}, ir.Hasher{Part: ir.DeploymentPart}
	out := Read{}
	for _, scope := range m.Scopes() {
		files, err := member(scope)
		if err != nil {
			t.Fatal(err)
		}
		var all bytes.Buffer
		for _, f := range files {
			fmt.Fprintf(&all, "%s\n%s\n", f.Path, f.Data)
		}
		of := scope.Member()
		out[string(of.Kind)+" "+of.Name] = made{
			proxy.Hash(&scope), deployment.Hash(&scope), sha256.Sum256(configuration(t, scope)),
			sha256.Sum256(all.Bytes()),
		}
	}
	return out
}

// configuration are the bootstraps and resources of all of a member's proxies.
func configuration(t *testing.T, scope ir.Scope) []byte {
	instances := []string{""}
	if scope.Service != nil {
		for _, e := range scope.Service.Workload.Endpoints {
			instances = append(instances, e.Name)
		}
	}
	var out []byte
	add := func(m proto.Message) {
		data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, data...)
	}
	for _, instance := range instances {
		boot, err := envoy.Bootstrap(scope, envoy.Options{Instance: instance})
		if err != nil {
			t.Fatal(err)
		}
		add(boot)
		r, err := envoy.Build(scope, envoy.Options{Instance: instance})
		if err != nil {
			t.Fatal(err)
		}
		addAll(add, r.Listeners)
		addAll(add, r.Routes)
		addAll(add, r.Clusters)
		addAll(add, envoy.Assignments(r.Discovered, scope.Endpoint(instance), live.Written))
		addAll(add, r.Secrets)
	}
	return out
}

func addAll[T proto.Message](add func(proto.Message), list []T) {
	for _, m := range list {
		add(m)
	}
}

// dropPlaces makes every position in a value zero.
func dropPlaces(v reflect.Value) {
	if v.Type() == reflect.TypeFor[source.Position]() {
		v.SetZero()
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			dropPlaces(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				dropPlaces(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			dropPlaces(v.Index(i))
		}
	}
}

// Tell wants the parts of the scopes to be others wherever what is made of them is: a change that a renderer reads and
// the Scope does not tell is one that proxies would not be sent, and that files would not be written for. It returns
// the members whose ProxyPart is another though nothing that their proxies read is.
func (before Read) Tell(t *testing.T, after Read) (more []string) {
	t.Helper()
	for name, was := range before {
		is, there := after[name]
		switch {
		case !there:
		case was.proxy != is.proxy && was.proxyPart == is.proxyPart:
			t.Errorf("the proxies of %s get another configuration, but its Scope is the same: a renderer reads a field that is tagged as not read by proxies", name)
		case was.files != is.files && was.deploymentPart == is.deploymentPart:
			t.Errorf("the files of %s are others, but its Scope is the same: a renderer reads a field that is tagged as not read", name)
		case was.proxy == is.proxy && was.proxyPart != is.proxyPart:
			more = append(more, name)
		}
	}
	return more
}

// Renditions are what members are rendered to, kept by their Scopes.
type Renditions struct {
	t    *testing.T
	mu   sync.Mutex
	kept map[ir.Sum][]byte
}

// NewRenditions keeps what the members of a mesh are rendered to.
func NewRenditions(t *testing.T) *Renditions {
	return &Renditions{t: t, kept: map[ir.Sum][]byte{}}
}

// Differ reports whether anything is rendered from two meshes in another way, but for mesh.json. Members whose Scopes
// are the same are not rendered.
func (r *Renditions) Differ(a, b *ir.Mesh) bool {
	r.t.Helper()
	was, hasher := map[ir.Ref]ir.Scope{}, ir.Hasher{Part: ir.DeploymentPart}
	for _, scope := range a.Scopes() {
		m := scope.Member()
		was[m.Ref()] = scope
	}
	scopes := b.Scopes()
	if len(scopes) != len(was) {
		return true
	}
	for _, scope := range scopes {
		m := scope.Member()
		before, there := was[m.Ref()]
		if !there {
			return true
		}
		sum := hasher.Hash(&before)
		if sum != hasher.Hash(&scope) && !bytes.Equal(r.rendition(sum, before), rendition(r.t, scope)) {
			return true
		}
	}
	return !bytes.Equal(sharedOutputs(r.t, a), sharedOutputs(r.t, b))
}

// rendition is the rendition of a Scope with that sum.
func (r *Renditions) rendition(sum ir.Sum, scope ir.Scope) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept[sum] == nil {
		r.kept[sum] = rendition(r.t, scope)
	}
	return r.kept[sum]
}

// rendition is all that is made of a member, and of the instances of those that it calls, where they are pods.
func rendition(t *testing.T, scope ir.Scope) []byte {
	t.Helper()
	files, err := member(scope)
	if err != nil {
		t.Fatal(err)
	}
	out := configuration(t, scope)
	for _, f := range files {
		out = fmt.Appendf(out, "%s\n%s\n", f.Path, f.Data)
	}
	if scope.Settings.Delivery == ir.DeliveryStatic {
		return out
	}
	pods := func(u *ir.Upstream) []live.Endpoint {
		if !u.Workload.InCluster() {
			return nil
		}
		return live.Healthy([]ir.Endpoint{
			{Name: "1", Address: "10.1.0.1", Zone: "eu-west-1a", Region: "eu-west-1"},
			{Name: "2", Address: "10.1.0.2", Zone: "eu-west-1b", Region: "eu-west-1"},
		})
	}
	r, err := envoy.Build(scope, envoy.Options{Watched: slices.Collect(maps.Keys(scope.Upstreams))})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range envoy.Assignments(r.Discovered, &ir.Endpoint{Zone: "eu-west-1a", Region: "eu-west-1"}, pods) {
		out = fmt.Appendf(out, "%v\n", a)
	}
	return out
}

// sharedOutputs is what is made of no single member, but for mesh.json.
func sharedOutputs(t *testing.T, m *ir.Mesh) []byte {
	t.Helper()
	encoding, err := ir.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	files, err := meshFiles(m, encoding)
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for _, f := range files {
		if f.Path != meshfile.Name && !strings.HasSuffix(f.Path, "-system/mesh.yaml") {
			out = fmt.Appendf(out, "%s\n%s\n", f.Path, f.Data)
		}
	}
	return out
}
