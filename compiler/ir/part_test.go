package ir

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/source"
)

// TestHashTellsEveryField changes every field of a Scope in turn, wherever it stands, and wants the sums of both parts
// to be others exactly when the tag of the field, or of what it stands in, says so, and [Scope.Same] to say the same.
func TestHashTellsEveryField(t *testing.T) {
	for _, kind := range []MemberKind{KindService, KindGateway} {
		old, _ := filled(kind)
		s, leafs := filled(kind)
		if len(leafs) < 200 {
			t.Errorf("a %s has only %d fields", kind, len(leafs))
		}
		for _, l := range leafs {
			was := reflect.New(l.value.Type()).Elem()
			was.Set(l.value)
			l.value.Set(another(l.value))
			for p, want := range map[Part]bool{ProxyPart: l.proxy, DeploymentPart: l.deployment} {
				if same := s.Same(p, old); same == want {
					t.Errorf("%s: the scopes are the same in part %d: %v", l.path, p, same)
				}
				if told := (&Hasher{Part: p}).Hash(s) != (&Hasher{Part: p}).Hash(old); told != want {
					t.Errorf("%s: the hash of part %d tells that it changed: %v", l.path, p, told)
				}
			}
			l.value.Set(was)
		}
	}
}

// leaf is a value that can be set, and the parts that have it.
type leaf struct {
	path              string
	value             reflect.Value
	proxy, deployment bool
}

// filled is the scope of a member of that kind in which everything is set, and what can be changed in it.
func filled(kind MemberKind) (*Scope, []leaf) {
	s := &Scope{}
	var leafs []leaf
	fill(reflect.ValueOf(s).Elem(), "Scope", true, true, &leafs)
	other := "Scope.Gateway."
	if kind == KindGateway {
		other, s.Service = "Scope.Service.", nil
	} else {
		s.Gateway = nil
	}
	uses := s.Member().Uses
	uses[0].External, uses[0].To, uses[1].To = false, "x", "x"
	return s, slices.DeleteFunc(leafs, func(l leaf) bool { return strings.HasPrefix(l.path, other) })
}

// fill gives everything a value that is not zero, and collects what can be set.
func fill(v reflect.Value, path string, proxy, deployment bool, leafs *[]leaf) {
	add := func() { *leafs = append(*leafs, leaf{path, v, proxy, deployment}) }
	switch v.Type() {
	case reflect.TypeFor[source.Position]():
		v.Set(reflect.ValueOf(source.Position{File: "mesh.cue", Line: 1, Column: 1}))
		proxy, deployment = false, false
		add()
		return
	case reflect.TypeFor[time.Time](), reflect.TypeFor[spiffeid.ID](), reflect.TypeFor[netip.Prefix]():
		v.Set(another(v))
		add()
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), path, proxy, deployment, leafs)
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			parts := [2]Part{ProxyPart, DeploymentPart}
			if strings.HasPrefix(path, "Scope.Upstreams") || strings.HasPrefix(path, "Scope.Externals") {
				parts = [2]Part{calleePart, calleePart}
			}
			fill(v.Field(i), path+"."+f.Name, proxy && parts[0].has(f.Tag), deployment && parts[1].has(f.Tag), leafs)
		}
	case reflect.Slice:
		n := 1
		if v.Type().Elem() == reflect.TypeFor[Use]() { // of a service and of an external
			n = 2
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(v.Index(i), fmt.Sprintf("%s[%d]", path, i), proxy, deployment, leafs)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		e := reflect.New(v.Type().Elem()).Elem()
		fill(e, path+"[x]", proxy, deployment, leafs)
		if e.Kind() != reflect.Pointer { // it is a copy that stands in the map
			*leafs = (*leafs)[:len(*leafs)-1]
		}
		v.SetMapIndex(reflect.ValueOf("x").Convert(v.Type().Key()), e)
		if e.Kind() != reflect.Pointer {
			add()
		}
	default:
		v.Set(another(v))
		add()
	}
}

// another is a value of the type that is not the one that is there.
func another(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	switch v.Type() {
	case reflect.TypeFor[source.Position]():
		return reflect.ValueOf(source.Position{File: "other.cue", Line: 2, Column: 2})
	case reflect.TypeFor[time.Time]():
		return reflect.ValueOf(v.Interface().(time.Time).Add(time.Hour))
	case reflect.TypeFor[spiffeid.ID]():
		if v.IsZero() {
			return reflect.ValueOf(spiffeid.RequireFromString("spiffe://shop.example/x"))
		}
		return reflect.ValueOf(spiffeid.RequireFromString(v.Interface().(spiffeid.ID).String() + "/y"))
	case reflect.TypeFor[netip.Prefix]():
		bits := 8
		if !v.IsZero() {
			bits = v.Interface().(netip.Prefix).Bits() + 1
		}
		return reflect.ValueOf(netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), bits))
	}
	switch v.Kind() {
	case reflect.String:
		out.SetString(v.String() + "x")
	case reflect.Bool:
		out.SetBool(!v.Bool())
	case reflect.Float64:
		out.SetFloat(v.Float() + 1)
	case reflect.Map:
		out.Set(reflect.MakeMap(v.Type()))
	default:
		if v.CanInt() {
			out.SetInt(v.Int() + 1)
		} else {
			out.SetUint(v.Uint() + 1)
		}
	}
	return out
}
