package render_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/meshc/meshc/schema"
)

// maker makes values of the schema.
type maker struct {
	rand        *rand.Rand
	definitions map[string]ast.Expr
	inside      []string // the definitions that are being made
}

func readDefinitions(t *testing.T) map[string]ast.Expr {
	t.Helper()
	out := map[string]ast.Expr{}
	names, err := fs.Glob(schema.FS, "*.cue")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := fs.ReadFile(schema.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(name, data)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			if field, ok := decl.(*ast.Field); ok {
				label, _, err := ast.LabelName(field.Label)
				if err != nil {
					t.Fatal(err)
				}
				out[label] = field.Value
			}
		}
	}
	return out
}

func (m *maker) spec() *randomSpec {
	s := &randomSpec{delivery: m.one("xds", "xds", "static")}
	some := func(path, definition string, chance float64) {
		if m.rand.Float64() < chance {
			s.parts = append(s.parts, specPart{path, m.named(definition, "")})
		}
	}
	for _, service := range []string{"a", "b"} {
		at := "services." + service
		for i := range m.rand.IntN(5) {
			some(fmt.Sprintf("%s.routes[%d]", at, i), "#Route", 1)
		}
		for _, list := range []string{"allow", "deny"} {
			for i := range m.rand.IntN(3) {
				some(fmt.Sprintf("%s.%s[%d]", at, list, i), "#Rule", 1)
			}
		}
		if m.rand.Float64() < 0.3 {
			s.parts = append(s.parts, specPart{at + ".mtls", `"permissive"`})
		}
		if m.rand.Float64() < 0.3 {
			s.parts = append(s.parts, specPart{at + ".externalAuthorization", m.one(`"grpc"`, `"http"`)})
		}
		some(at+".timeout", "#Duration", 0.3)
		some(at+".idleTimeout", "#Duration", 0.3)
		some(at+".retries", "#Retries", 0.4)
		some(at+".loadBalancer", "#LoadBalancer", 0.5)
		some(at+".connections", "#Connections", 0.5)
		some(at+".outliers", "#Outliers", 0.5)
		some(at+".health", "#Health", 0.5)
		some(at+".locality", "#Locality", 0.3)
		some(at+".rateLimit", "#RateLimit", 0.5)
		some(at+".uses."+map[string]string{"a": "b", "b": "a"}[service], "#Use", 0.4)
	}
	for i := range m.rand.IntN(5) {
		some(fmt.Sprintf("gateways.g.routes[%d]", i), "#Route", 1)
	}
	for i := range m.rand.IntN(4) {
		some(fmt.Sprint("gateways.g.listeners.l", i), "#Listener", 1)
	}
	some("gateways.g.compression", "#Compression", 0.4)
	some("gateways.g.uses.a", "#Use", 0.3)
	some("mesh.defaults", "#TrafficDefaults", 0.3)
	return s
}

// pools are names that are there to be meant.
var pools = map[string][]string{
	"service": {"a", "b"}, "version": {"v1", "v2"}, "port": {"http", "grpc", "tcp"}, "ports": {"http", "grpc", "tcp"},
	"services": {"a", "b"}, "gateways": {"g"}, "namespaces": {"default"}, "issuer": {"one", "two"},
	"redirectTo": {"http", "l0", "l1"}, "secret": {"s1", "s2"}, "host": {"shop.example", "*.shop.example"},
}

// never are fields that would only make specs wrong: addresses that must be free
// or known, files, and what is not supported.
var never = map[string]bool{"bind": true, "binds": true, "silence": true, "name": true, "http3 ": true}

// value is a value of the type, as CUE. The field is the name that it gets.
func (m *maker) value(e ast.Expr, field string) string {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return m.value(e.X, field)
	case *ast.BasicLit:
		return e.Value
	case *ast.Ident:
		return m.named(e.Name, field)
	case *ast.StructLit:
		return m.structure(e)
	case *ast.ListLit:
		var items []string
		for _, elt := range e.Elts {
			if more, ok := elt.(*ast.Ellipsis); ok {
				for range 1 + m.rand.IntN(2) {
					if more.Type == nil {
						continue
					}
					items = append(items, m.value(more.Type, field))
				}
			}
		}
		return "[" + strings.Join(items, ", ") + "]"
	case *ast.BinaryExpr:
		if e.Op == token.OR {
			alternatives := flatten(e, token.OR)
			return m.value(alternatives[m.rand.IntN(len(alternatives))], field)
		}
		return m.constrained(flatten(e, token.AND), field)
	case *ast.UnaryExpr:
		if e.Op == token.MUL {
			return m.value(e.X, field)
		}
	}
	panic(fmt.Sprintf("no way to make a value of %T", e))
}

func flatten(e ast.Expr, op token.Token) []ast.Expr {
	if b, ok := e.(*ast.BinaryExpr); ok && b.Op == op {
		return append(flatten(b.X, op), flatten(b.Y, op)...)
	}
	return []ast.Expr{e}
}

func (m *maker) named(name, field string) string {
	switch name {
	case "string":
		if field == "origins" {
			return m.one(`"*"`, `"https://a.example"`, `"https://*.a.example:8443"`)
		}
		if field == "hosts" {
			return m.one(`"*"`, `"shop.example"`, `"*.shop.example"`, `"b.example"`)
		}
		return m.one(`"x"`, `""`, `"100%"`, `"a b"`, `"%REQ(x)%"`, `"日本"`, `"\\1"`, `"a,b;c"`)
	case "bool":
		return m.one("true", "false")
	case "true", "false":
		return name
	case "#Name":
		if pool := pools[field]; pool != nil {
			return strconv.Quote(pool[m.rand.IntN(len(pool))])
		}
		return m.one(`"a"`, `"b"`)
	case "#Duration":
		return m.one(`"1ms"`, `"50ms"`, `"250ms"`, `"1s"`, `"1.5s"`, `"2m"`, `"1h"`, `"24h"`, `"87600h"`)
	case "#Hostname":
		return m.one(`"shop.example"`, `"a"`, `"x_y.example"`)
	case "#Zone", "_":
		return `"eu-1a"`
	}
	if d, ok := m.definitions[name]; ok {
		m.inside = append(m.inside, name)
		defer func() { m.inside = m.inside[:len(m.inside)-1] }()
		return m.value(d, field)
	}
	panic("no definition " + name)
}

func (m *maker) one(list ...string) string { return list[m.rand.IntN(len(list))] }

func (m *maker) structure(s *ast.StructLit) string {
	var out []string
	definition, chosen := "", ""
	if n := len(m.inside); n > 0 {
		definition = m.inside[n-1]
	}
	if list := oneOf[definition]; list != nil {
		chosen = list[m.rand.IntN(len(list))]
	}
	for _, decl := range s.Elts {
		field, ok := decl.(*ast.Field)
		if !ok {
			continue
		}
		if pattern, ok := field.Label.(*ast.ListLit); ok { // [#HeaderName]: …
			for range 1 + m.rand.IntN(2) {
				key := m.value(pattern.Elts[0], "key")
				if !strings.HasPrefix(key, `"`) {
					key = strconv.Quote(key)
				}
				out = append(out, key+": "+m.value(field.Value, ""))
				break
			}
			continue
		}
		name, _, err := ast.LabelName(field.Label)
		if err != nil {
			panic(err)
		}
		required := field.Constraint == token.NOT
		chance, ok := likely[name]
		if !ok {
			chance = 0.3
		}
		if slices.Contains(oneOf[definition], name) {
			chance = 0
			if name == chosen {
				chance = 1
			}
		}
		if never[name] || !required && m.rand.Float64() >= chance {
			continue
		}
		out = append(out, strconv.Quote(name)+": "+m.value(field.Value, name))
	}
	return "{" + strings.Join(out, ", ") + "}"
}

// constrained is a value that pleases all the conditions.
func (m *maker) constrained(all []ast.Expr, field string) string {
	kind, low, high := "", 0.0, 1e9
	var pattern string
	for _, e := range all {
		switch e := e.(type) {
		case *ast.Ident:
			kind = e.Name
		case *ast.BasicLit:
			return e.Value
		case *ast.UnaryExpr:
			lit, ok := e.X.(*ast.BasicLit)
			if !ok {
				continue
			}
			switch e.Op {
			case token.MAT:
				if s, err := literal.Unquote(lit.Value); err == nil && pattern == "" {
					pattern = s
				}
			case token.GEQ:
				low, _ = strconv.ParseFloat(lit.Value, 64)
			case token.LEQ:
				high, _ = strconv.ParseFloat(lit.Value, 64)
			}
		}
	}
	switch kind {
	case "int":
		return strconv.FormatInt(int64([]float64{
			low, high, low + 1, min(high, low+100),
			low + float64(m.rand.Int64N(int64(high-low)+1)),
		}[m.rand.IntN(5)]), 10)
	case "number":
		return m.one(fmt.Sprint(low), fmt.Sprint(high), "12.5", "33.3333", "50")
	}
	if field == "pattern" || field == "regex" {
		return m.one(`"/v[0-9]+/.*"`, `"(a|b)+c?"`, `"^/x(/.*)?$"`, `".*"`, `"[^/]{1,3}"`, `"/\\p{Greek}+"`,
			`"/\\p{LC}"`, `"\\p{Assigned}"`, `"(?i)/A\\pL"`, `"\\Q.*\\E"`, `"\\x{d800}"`, `"[[:alpha:]]\\b"`)
	}
	if field == "substitution" {
		return m.one(`"/x"`, `"\\1"`, `""`)
	}
	switch field {
	case "identities":
		return m.one(`"spiffe://random.example/ns/default/sa/a"`, `"spiffe://random.example/ns/*"`,
			`"spiffe://random.example/x/y"`)
	case "ipRanges":
		return m.one(`"10.0.0.0/8"`, `"10.1.2.3"`, `"2001:db8::/32"`, `"::1"`, `"0.0.0.0/0"`)
	case "until":
		return m.one(`"2999-12-31"`, `"2999-12-31T23:59:59+01:00"`)
	}
	if field == "template" {
		return m.one(`"/users/{id}"`, `"/a/*/b"`, `"/f/{rest=**}"`)
	}
	if pattern != "" {
		return strconv.Quote(m.matching(pattern))
	}
	return m.one(`"x"`, `"/y"`, `"shop.example"`)
}

// matching is a string that the regular expression matches.
func (m *maker) matching(pattern string) string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		panic(err)
	}
	var b strings.Builder
	m.write(&b, re)
	return b.String()
}

func (m *maker) write(b *strings.Builder, re *syntax.Regexp) {
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		pair := 2 * m.rand.IntN(len(re.Rune)/2)
		low, high := re.Rune[pair], min(re.Rune[pair+1], re.Rune[pair]+90)
		b.WriteRune(max(low, '!') + rune(m.rand.IntN(int(max(1, high-max(low, '!')+1)))))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte("abcxyz019"[m.rand.IntN(9)])
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			m.write(b, sub)
		}
	case syntax.OpAlternate:
		m.write(b, re.Sub[m.rand.IntN(len(re.Sub))])
	case syntax.OpQuest, syntax.OpStar, syntax.OpPlus, syntax.OpRepeat:
		least, most := re.Min, re.Max
		switch re.Op {
		case syntax.OpQuest:
			least, most = 0, 1
		case syntax.OpStar:
			least, most = 0, 3
		case syntax.OpPlus:
			least, most = 1, 4
		}
		if most < 0 || most > least+4 {
			most = least + 4
		}
		for range least + m.rand.IntN(most-least+1) {
			m.write(b, re.Sub[0])
		}
	}
}
