package diff

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/ir"
)

// withoutEffect are changes of the shop that change nothing that anybody could see, with the reason why.
var withoutEffect = map[string][]string{
	"the next route, or what goes by none, is treated the same": {
		"gateways/public/gateway.cue:9:3: an element less",
		`gateways/public/gateway.cue:9:31: "*.shop.example" is "*.shop.examplex"`,
		`gateways/public/gateway.cue:9:31: "*.shop.example" is "cart"`,
		`gateways/public/gateway.cue:9:31: "*.shop.example" is "frontend"`,
		`gateways/public/gateway.cue:9:31: "*.shop.example" is "payment"`,
		"gateways/public/gateway.cue:10:29: without match", "gateways/public/gateway.cue:10:36: without path",
	},
	"no rule lets in what the route takes besides": {
		"services/checkout/service.cue:17:4: without match", "services/checkout/service.cue:17:11: without path",
		`services/checkout/service.cue:17:25: "/shop.Checkout/" is "/"`,
	},
	"it says what is the default": {
		"mesh.cue:16:2: without defaults", "mesh.cue:16:12: without retries", "mesh.cue:16:21: without budget",
		"mesh.cue:16:30: without percent", "mesh.cue:16:43: without minConcurrency",
		"services/checkout/service.cue:24:5: without budget", "services/checkout/service.cue:24:14: without percent",
		"services/checkout/service.cue:24:27: without minConcurrency",
		"services/frontend/service.cue:16:65: without paths",
	},
	"of bytes nothing is sent again": {
		"mesh.cue:29:11: without ", "mesh.cue:29:27: without retries",
		"mesh.cue:29:36: without attempts", "mesh.cue:29:46: 0 is 1",
	},
	"the order is that of things of which no two are about one request": {
		"services/catalog/service.cue:22:3: two elements in another order",
		"services/catalog/service.cue:22:71: two elements in another order",
		"services/cart/service.cue:13:3: two elements in another order",
		"services/cart/service.cue:18:3: two elements in another order",
		"services/cart/service.cue:17:33: two elements in another order",
		"services/frontend/service.cue:16:56: two elements in another order",
		"services/payment/service.cue:7:3: two elements in another order",
		"services/payment/service.cue:15:79: two elements in another order",
	},
	"the other port has a rule about callers of its own": {"services/cart/service.cue:18:34: without ports"},
}

// TestMutationsAreNamed changes one thing after the other in the example: a number, a text, "*" for a path, an element
// less, two in another order, a field less. Of each that compiles to another mesh the diff must name an effect.
func TestMutationsAreNamed(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	shop := os.DirFS("../../examples/shop")
	files := map[string]string{}
	if err := fs.WalkDir(shop, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".cue") {
			return err
		}
		data, err := fs.ReadFile(shop, name)
		files[name] = string(data)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	before := laidOut(t, t.TempDir(), files)
	if before == nil {
		t.Fatal("the shop does not compile")
	}
	named, refused, alike := 0, 0, 0
	dir := t.TempDir()
	for name, text := range files {
		if name == "cue.mod/module.cue" || strings.HasSuffix(name, "tests.cue") {
			continue
		}
		for n := 0; ; n++ {
			mutated, what := mutation(t, name, text, n)
			if what == "" {
				break
			}
			files[name] = mutated
			after := laidOut(t, dir, files)
			files[name] = text
			switch {
			case after == nil:
				refused++
				continue
			case ir.Same(before, after):
				alike++
				continue
			}
			d := Of(before, after)
			known := false
			for _, list := range withoutEffect {
				known = known || slices.Contains(list, what)
			}
			if len(d.Effects) == 0 && !known {
				t.Errorf("no effect of %s", what)
			} else if known && len(d.Effects) > 0 {
				t.Errorf("%s has an effect after all", what)
			} else if !known {
				named++
			}
		}
	}
	t.Logf("%d mutations are named, %d are errors of the compiler, and %d make the same mesh", named, refused, alike)
	if named < 200 {
		t.Error("these are too few")
	}
}

// laidOut compiles files; nil when they do not compile.
func laidOut(t *testing.T, dir string, files map[string]string) *ir.Mesh {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := compiler.Compile(t.Context(),
		compiler.Options{Dir: dir, CacheDir: filepath.Join(filepath.Dir(dir), "cache"), CacheName: "mutations"})
	if err != nil {
		t.Fatal(err)
	}
	return r.Mesh
}

// mutation is a file after its nth change, and what that is; "" when there are no more.
func mutation(t *testing.T, name, text string, n int) (mutated, what string) {
	t.Helper()
	file, err := parser.ParseFile(name, text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	change := func(where token.Pos, how string, do func()) {
		if count == n {
			do()
			what = fmt.Sprintf("%s:%d:%d: %s", name, where.Line(), where.Column(), how)
		}
		count++
	}
	ast.Walk(file, func(node ast.Node) bool {
		switch x := node.(type) {
		case *ast.Field:
			if label, _, _ := ast.LabelName(x.Label); label == "name" {
				return false
			}
			value, ok := x.Value.(*ast.BasicLit)
			if !ok {
				return true
			}
			for _, other := range others(value) {
				change(value.Pos(), value.Value+" is "+other,
					func() { x.Value = &ast.BasicLit{ValuePos: value.ValuePos, Kind: value.Kind, Value: other} })
			}
			return false
		case *ast.StructLit:
			for i, e := range x.Elts {
				if f, ok := e.(*ast.Field); ok {
					label, _, _ := ast.LabelName(f.Label)
					change(f.Pos(), "without "+label, func() { x.Elts = slices.Delete(slices.Clone(x.Elts), i, i+1) })
				}
			}
		case *ast.ListLit:
			for i, e := range x.Elts {
				change(e.Pos(), "an element less", func() { x.Elts = slices.Delete(slices.Clone(x.Elts), i, i+1) })
				if i > 0 {
					change(e.Pos(), "two elements in another order",
						func() { x.Elts[i-1], x.Elts[i] = x.Elts[i], x.Elts[i-1] })
				}
				if value, ok := e.(*ast.BasicLit); ok {
					for _, other := range others(value) {
						change(value.Pos(), value.Value+" is "+other,
							func() {
								x.Elts[i] = &ast.BasicLit{ValuePos: value.ValuePos, Kind: value.Kind, Value: other}
							})
					}
				}
			}
		}
		return true
	}, nil)
	if what == "" {
		return "", ""
	}
	out, err := format.Node(file)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return string(out), what
}

// others are values in place of one.
func others(x *ast.BasicLit) []string {
	switch x.Kind {
	case token.INT:
		if number, err := strconv.Atoi(x.Value); err == nil {
			return []string{strconv.Itoa(number + 1), "0"}
		}
	case token.STRING:
		value, err := strconv.Unquote(x.Value)
		if err != nil || value == "" {
			return nil
		}
		if value[0] >= '0' && value[0] <= '9' {
			return []string{strconv.Quote("1" + value), strconv.Quote(value + "0")}
		}
		out := []string{strconv.Quote(value + "x"), `"*"`}
		if value[0] == '/' {
			out = append(out, `"/*"`, `"/"`, strconv.Quote(value+"/"))
		}
		for _, service := range []string{"cart", "frontend", "payment"} {
			if value != service {
				out = append(out, strconv.Quote(service))
			}
		}
		return out
	}
	return nil
}
