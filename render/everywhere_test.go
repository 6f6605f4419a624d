package render_test

import (
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"cuelang.org/go/cue/ast"
	"golang.org/x/sync/errgroup"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/render"
)

// without are places where a field changes nothing and is not a mistake, by the field or the place, with the reason.
var without = map[string]string{
	"services.[].workload.endpoints.[].labels.[]": "they are for the versions of a service: y has none, and nobody calls x",
	"services.b.versions.v1.labels":               "no route leads to the version",
	"services.x.workload.endpoints[0].weight":     "the service has no ports, so nobody calls it",
	"services.[].routes.[].to.[].weight":          "of one destination the share is the whole, whatever the weight",
	"gateways.[].routes.[].to.[].weight":          "of one destination the share is the whole, whatever the weight",
	"services.y.ports.http.protocol":              "grpc is spoken over HTTP/2: without a setting that asks for statuses of gRPC both come to the same",
	"external.plain.ports.grpc.protocol":          "grpc is spoken over HTTP/2: without a setting that asks for statuses of gRPC both come to the same",
	"services.a.hosts":                            "callers in the mesh use them, and gateways alone call a",
	"services.x.createService":                    "it says who makes the Service, and nobody in the cluster calls x",
	"services.y.createService":                    "it says who makes the Service, and nobody in the cluster calls y",
	"gateways.[].allow.[].from.anyone":            "beside ipRanges it says nothing: every client of a gateway is meant without it too",
	"gateways.[].deny.[].from.anyone":             "beside ipRanges it says nothing: every client of a gateway is meant without it too",
	"services.[].proxy.drainTime":                 "where there are no pods it is Envoy's flag, which meshc up sets",
}

// isExpected reports whether a field at a place is among those.
func isExpected(field, path string) bool {
	// A rule of deny goes on after its time, which MC1206 tells of.
	endOfDeny := strings.Contains(path, ".deny[") && strings.HasSuffix(path, "].until")
	return without[field] != "" || without[path] != "" || endOfDeny
}

// TestFieldsTakeEffectEverywhere sets each field of the language at each place where the schema accepts it, and wants
// an output to change or a finding. How a field is set it takes from the changes of TestFieldsTakeEffect: who adds a
// field to the schema adds a change there, and here only a place that the mesh does not have yet.
func TestFieldsTakeEffectEverywhere(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	definitions := readDefinitions(t)
	t.Run("xds", func(t *testing.T) {
		for field, why := range everywhere(t, definitions, evaluated(t, everything+elsewhere), site.kind) {
			t.Errorf("%s: it is judged nowhere, so elsewhere needs a member that has it: %s", field, why)
		}
	})
	t.Run("static", func(t *testing.T) {
		c := changes["mesh.delivery"]
		base := evaluated(t, strings.Replace(everything+elsewhere, c.from, c.to, 1))
		everywhere(t, definitions, base, site.home)
	})
}

// everywhere sets fields in a mesh, each once at the sites of a kind, and returns those that cannot be judged
// anywhere, with why.
func everywhere(
	t *testing.T, definitions map[string]ast.Expr, base *spec.Unit, kind func(site, *spec.Unit) string,
) map[string]string {
	mesh, found := linked(base)
	if len(found) > 0 {
		t.Fatal(found)
	}
	all := sites(definitions, base)
	r := &trials{t, base, mesh, transplants(t, all), render.NewRenditions(t)}
	var mu sync.Mutex
	judged := map[string]string{} // by field, the worst that came of it where it cannot be judged
	tried := map[string]bool{}
	var trying errgroup.Group
	trying.SetLimit(runtime.GOMAXPROCS(0))
	for _, s := range all {
		if strings.HasPrefix(s.field, "tests.") || !isRendered(s.field) || tried[kind(s, base)] {
			continue
		}
		tried[kind(s, base)] = true
		trying.Go(func() error {
			how := r.judged(s)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case how == changed || strings.HasPrefix(how, refused):
				judged[s.field] = ""
			case strings.HasPrefix(how, unjudged):
				if _, known := judged[s.field]; !known {
					judged[s.field] = inWords(s.path) + ": " + how
				}
			case isExpected(s.field, inWords(s.path)):
				judged[s.field] = ""
			default:
				t.Errorf("%s %s", inWords(s.path), how)
			}
			return nil
		})
	}
	if err := trying.Wait(); err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(judged, func(_, why string) bool { return why == "" })
	return judged
}

// What comes of a field at a site.
const (
	changed  = "changes an output"
	refused  = "is refused"
	unjudged = "is in a mesh that has errors without it too"
	ignored  = "changes no output, and the compiler says nothing"
	untried  = "has no change (changes in change_test.go): add one for its place in the schema"
)

// transplant is how one field is set, at the place where TestFieldsTakeEffect does it.
type transplant struct {
	field string
	// path is where the field is, and prepare what is changed besides, before it is set.
	path    []string
	prepare []edit
	// quiet is set when no output is changed besides mesh.json.
	quiet bool
	// had is what the field was, not valid if it was not written, value what it becomes, and set all that is changed
	// with it.
	had, value reflect.Value
	set        []edit
}

// transplants are those of the changes, by the field's place in the definitions of the schema.
func transplants(t *testing.T, all []site) map[string][]*transplant {
	of := map[string]string{}
	for _, s := range all {
		of[s.field] = s.of
	}
	base, out := evaluated(t, everything), map[string][]*transplant{}
	for i, list := range []map[string]change{changes, silent} {
		for _, field := range slices.Sorted(maps.Keys(list)) {
			c, before := list[field], base
			if c.instead != "" {
				before = evaluated(t, strings.Replace(everything, c.from, c.instead, 1))
			}
			after := evaluated(t, strings.Replace(everything, c.from, c.to, 1))
			made := &transplant{field: field, quiet: i == 1, prepare: edits(base, before), set: edits(before, after)}
			for _, e := range made.set {
				at := fieldAt(e.path)
				if e.value.IsValid() && made.path == nil && of[field] != "" && (of[at] == of[field] ||
					of[at+".[]"] == of[field]) {
					made.path, made.had, made.value = e.path, valueAt(before, e.path), e.value
				}
			}
			switch {
			case of[field] == "":
				t.Errorf("the schema has no field %s", field)
			case made.path == nil:
				t.Errorf("the change of %s leaves that field as it is: %v", field, made.set)
			default:
				out[of[field]] = append(out[of[field]], made)
			}
		}
	}
	return out
}

// typeAt is the type of the spec that stands at a path; nil when none can.
func typeAt(path []string) reflect.Type {
	typ := reflect.TypeFor[spec.Repository]()
	for _, step := range path {
		for typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if typ.Kind() == reflect.Map || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		} else {
			field := child(reflect.Zero(typ), step)
			if !field.IsValid() {
				return nil
			}
			typ = field.Type()
		}
	}
	return typ
}

// fieldAt is the field in the types of the spec that stands at a path.
func fieldAt(path []string) string {
	var out []string
	for i, step := range path {
		if kind := typeAt(path[:i]).Kind(); kind == reflect.Map || kind == reflect.Slice {
			step = "[]"
		}
		out = append(out, step)
	}
	return strings.Join(out, ".")
}

// isRendered reports whether the types of the spec have a field, or it is not supported yet, and an error.
func isRendered(field string) bool {
	typ := reflect.TypeFor[spec.Repository]()
	for _, step := range strings.Split(field, ".") {
		for typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		switch {
		case typ == reflect.TypeFor[spec.Unsupported]():
			return false
		case typ.Kind() == reflect.Map || typ.Kind() == reflect.Slice:
			typ = typ.Elem()
		case step != "[]":
			below := child(reflect.Zero(typ), step)
			if !below.IsValid() {
				return false
			}
			typ = below.Type()
		}
	}
	return true
}

func valueAt(u *spec.Unit, path []string) reflect.Value {
	v := reflect.ValueOf(&u.Repository)
	for _, step := range path {
		if v = child(v, step); !v.IsValid() {
			return v
		}
	}
	if !isThere(v) {
		return reflect.Value{}
	}
	return v
}

// moved is where an edit of a change of the field at one path is made when the field is at another.
func moved(path, from, to []string) []string {
	n := 0
	for n < len(from) && n < len(to) {
		a, b := from[len(from)-1-n], to[len(to)-1-n]
		if a != b && b != created {
			break
		}
		n++
	}
	from, to = from[:len(from)-n], append(slices.Clone(to[:len(to)-n]), []string{}...)
	if len(path) >= len(from) && slices.Equal(path[:len(from)], from) {
		if there := append(to, path[len(from):]...); typeAt(there) != nil {
			return there
		}
		return path
	}
	if len(from) > 2 && len(to) > 2 && from[0] == to[0] && slices.Equal(path[:2], from[:2]) {
		return append(to[:2], path[2:]...)
	}
	return path
}

// trials sets fields at sites of one mesh.
type trials struct {
	t       *testing.T
	base    *spec.Unit
	mesh    *ir.Mesh
	made    map[string][]*transplant
	outputs *render.Renditions
}

// judged sets a field at a site, and tells what that does.
func (r *trials) judged(s site) string {
	c := r.change(s)
	if c == nil {
		return untried + ", " + s.of
	}
	to := c.target(s, r.base)
	before, unset, found := r.meshWithout(c, to)
	if found.HasErrors() {
		// What is refused for itself, whatever its value, is judged: the change is from one value to another.
		own := func(d diag.Diagnostic) bool { return d.Severity == diag.Error && d.Path == inWords(to) }
		if slices.ContainsFunc(found, own) {
			return fmt.Sprintf("%s with %s", refused, found[0].Code)
		}
		return fmt.Sprintf("%s: %v", unjudged, found)
	}
	after, found := r.meshWith(c, to, unset)
	switch {
	case found.HasErrors():
		return fmt.Sprintf("%s with %s", refused, found[0].Code)
	case c.quiet && !ir.Same(before, after) || !c.quiet && r.outputs.Differ(before, after):
		return changed
	}
	for _, d := range found {
		if d.Path != "" && strings.HasPrefix(inWords(to), d.Path) {
			return fmt.Sprintf("%s with %s", refused, d.Code)
		}
	}
	return ignored
}

// change is how the field of a site is set: as it is at that place, or else at another of the same definition; nil if
// it is nowhere.
func (r *trials) change(s site) *transplant {
	list := r.made[s.of]
	for _, one := range list {
		if one.field == s.field {
			return one
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

// target is the path of the field at a site of a mesh: what is created is called as in the change. An element of a list
// where the change has none is the next one.
func (c *transplant) target(s site, base *spec.Unit) []string {
	to := slices.Clone(s.path)
	for i, step := range to {
		from := i + len(c.path) - len(to)
		if step != created || from < 0 {
			continue
		}
		to[i] = c.path[from]
		if _, err := strconv.Atoi(to[i]); err != nil && typeAt(to[:i]).Kind() == reflect.Slice {
			to[i] = strconv.Itoa(len(elementsOf(valueAt(base, to[:i]))))
		}
	}
	if typeAt(to).Kind() == reflect.Map {
		to = append(to, c.path[len(c.path)-1])
	}
	return to
}

// meshWithout is the mesh in which the field is not set yet, with the spec and what is found.
func (r *trials) meshWithout(c *transplant, to []string) (*ir.Mesh, *spec.Unit, diag.List) {
	own := valueAt(r.base, to)
	taken := own.IsValid() && !c.had.IsValid() && sameValue(own, c.value)
	if len(c.prepare) == 0 && !taken && (own.IsValid() || !c.had.IsValid()) {
		return r.mesh, r.base, nil
	}
	before := copied(r.base)
	if c.had.IsValid() && !own.IsValid() {
		(&edit{to, c.had}).apply(before, r.base.Mesh.Pos)
	}
	for _, e := range c.prepare {
		e.path = moved(e.path, c.path, to)
		e.apply(before, r.base.Mesh.Pos)
	}
	if own.IsValid() {
		(&edit{to, own}).apply(before, r.base.Mesh.Pos)
	}
	if taken {
		(&edit{path: to}).apply(before, r.base.Mesh.Pos)
	}
	mesh, found := linked(before)
	return mesh, before, found
}

// meshWith is the mesh in which the field is set, and what is found.
func (r *trials) meshWith(c *transplant, to []string, before *spec.Unit) (*ir.Mesh, diag.List) {
	own, after := valueAt(r.base, to), copied(before)
	for _, e := range c.set {
		if slices.Equal(e.path, c.path) && own.IsValid() && c.had.IsValid() && sameValue(own, e.value) {
			e.value = c.had
		}
		e.path = moved(e.path, c.path, to)
		e.apply(after, r.base.Mesh.Pos)
	}
	return linked(after)
}

// inWords is a path as findings name it.
func inWords(path []string) string {
	out := path[0]
	for _, step := range path[1:] {
		if _, err := strconv.Atoi(step); err == nil {
			out += "[" + step + "]"
		} else {
			out += "." + step
		}
	}
	return out
}
