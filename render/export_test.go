package render

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/render/live"
)

// Read is what of a mesh each member's proxies and files are made of, and what they came to: by "service NAME" and
// "gateway NAME".
type Read map[string]made

// made are the sums of the parts of a member's Scope, and of what is rendered from it: its proxies' bootstraps and resources,
// and all of its files.
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
			proxy.Hash(&scope), deployment.Hash(&scope), sha256.Sum256(configuration(t, scope)), sha256.Sum256(all.Bytes()),
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

// Tell wants the parts of the scopes to be others wherever what is made of them is: a change that a renderer reads and the Scope
// does not tell is one that proxies would not be sent, and that files would not be written for. It returns the members
// whose ProxyPart is another though nothing that their proxies read is.
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
