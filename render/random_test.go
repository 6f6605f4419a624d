package render_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/schema"
)

// TestRandomSpecsPleaseEnvoy makes specs at random from the schema itself, and has
// a real Envoy judge those that compile: it must refuse none. MESHC_RANDOM_SPECS
// says how many must compile (200).
func TestRandomSpecsPleaseEnvoy(t *testing.T) {
	wanted := 200
	if n, err := strconv.Atoi(os.Getenv("MESHC_RANDOM_SPECS")); err == nil {
		wanted = n
	}
	seed := uint64(time.Now().UnixNano())
	if n, err := strconv.ParseUint(os.Getenv("MESHC_RANDOM_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("MESHC_RANDOM_SEED=%d", seed)
	definitions := readDefinitions(t)
	judge := newJudge(t)
	var all sync.WaitGroup
	var mu sync.Mutex
	next, compiled, tried, parts := uint64(0), 0, 0, 0
	for range 4 {
		all.Go(func() {
			for {
				mu.Lock()
				if compiled >= wanted || t.Failed() {
					mu.Unlock()
					return
				}
				n := next
				next++
				mu.Unlock()
				m := &maker{rand: rand.New(rand.NewPCG(seed, n)), definitions: definitions}
				s := m.spec()
				good, attempts := s.repaired(t)
				mu.Lock()
				tried += attempts
				if good != nil {
					compiled++
					parts += len(s.parts)
				}
				mu.Unlock()
				if good == nil {
					continue
				}
				judge.mesh(t, good.Mesh)
				if t.Failed() {
					t.Logf("spec %d:\n%s", n, s.text())
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d specs compiled, of %d in %d tries, with %d random parts", compiled, next, tried, parts)
}

// randomSpec is a mesh of fixed members with parts that were made at random.
type randomSpec struct {
	delivery string
	parts    []specPart
}

type specPart struct{ path, text string }

const randomFrame = `package random

mesh: {
	name: "random", delivery: "DELIVERY", certificates: issuer: kind: "ISSUER", trustDomain: "random.example", rateLimit: service: "limiter"
	jwt: issuers: {
		one: {issuer: "https://one.example", audiences: ["x"], jwks: inline: "{\"keys\":[]}", forward: {token: false, claims: sub: "x-sub"}}
		two: {issuer: "https://two.example", jwks: {service: "limiter", port: "keys"}}
	}
	externalAuthorization: {
		grpc: service: "limiter", grpc: port: "grpc"
		http: {service: "limiter", port: "keys", pathPrefix: "/check", forward: ["x-sub"], failOpen: true}
	}
	silence: {MC1701: "random", MC1702: "random", MC1703: "random", MC1704: "random", MC1705: "random"}
}

services: a: {
	workload: endpoints: [{address: "10.0.0.1", zone: "eu-1a"}]
	ports: {http: {port: 8080, protocol: "http"}, grpc: {port: 8081, protocol: "grpc"}}
	versions: {v1: labels: version: "1", v2: labels: version: "2"}
	silence: {MC1307: "no instance", MC1203: "unused", MC1402: "longer"}
}
services: b: {
	workload: endpoints: [{address: "10.0.1.1", zone: "eu-1a"}, {address: "10.0.1.2", zone: "eu-2b", labels: version: "1"}]
	ports: {http: {port: 8082, protocol: "http2"}, tcp: {port: 8083, protocol: "tcp"}}
	versions: {v1: labels: version: "1", v2: labels: version: "2"}
	silence: {MC1307: "no instance", MC1203: "unused", MC1402: "longer"}
}
services: limiter: {
	workload: deployment: "limiter"
	ports: {grpc: {port: 8090, protocol: "grpc"}, keys: {port: 8091, protocol: "http"}}
	allow: [{from: {services: ["a", "b"], gateways: ["g"]}}]
	silence: MC1203: "unused"
}
services: a: uses: b: {}
services: b: uses: a: {}
gateways: g: {
	listeners: http: port: 8000
	uses: {a: {}, b: {}}
	silence: MC1402: "longer"
}
`

// text is the spec, and line the part that each of its lines holds.
func (s *randomSpec) lines() (text string, line map[int]int) {
	var b strings.Builder
	issuer := map[string]string{"xds": "embedded", "static": "file"}[s.delivery]
	b.WriteString(strings.NewReplacer("DELIVERY", s.delivery, "ISSUER", issuer).Replace(randomFrame))
	line = map[int]int{}
	n := strings.Count(randomFrame, "\n")
	write := func(part int, text string) {
		b.WriteString(text + "\n")
		if n++; part >= 0 {
			line[n] = part
		}
	}
	for i, p := range s.parts {
		if !strings.Contains(p.path, "[") {
			write(i, strings.ReplaceAll(p.path, ".", ": ")+": "+p.text)
		}
	}
	for _, list := range []string{"services.a.routes", "services.b.routes", "gateways.g.routes", "services.a.allow", "services.b.allow", "services.a.deny", "services.b.deny"} {
		write(-1, strings.ReplaceAll(list, ".", ": ")+": [")
		if strings.HasSuffix(list, ".allow") {
			write(-1, `{from: {gateways: ["g"], services: ["`+map[string]string{"services.a.allow": "b", "services.b.allow": "a"}[list]+`"]}},`)
		}
		for i, p := range s.parts {
			if strings.HasPrefix(p.path, list+"[") {
				write(i, p.text+",")
			}
		}
		write(-1, "]")
	}
	return b.String(), line
}

func (s *randomSpec) text() string {
	text, _ := s.lines()
	return text
}

// repaired compiles the spec, and without the parts that are found wrong, until it
// is good; nil when it does not become so.
func (s *randomSpec) repaired(t *testing.T) (*compiler.Result, int) {
	dir := t.TempDir()
	for attempt := 1; attempt <= 12; attempt++ {
		for name, text := range map[string]string{"/cue.mod/module.cue": "module: \"random.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n", "/mesh.cue": s.text()} {
			if err := os.MkdirAll(dir+"/cue.mod", 0o755); err != nil {
				t.Error(err)
			}
			if err := os.WriteFile(dir+name, []byte(text), 0o600); err != nil {
				t.Error(err)
			}
		}
		r, err := compiler.Compile(t.Context(), compiler.Options{Dir: dir})
		if err != nil {
			t.Errorf("%v\n%s", err, s.text())
			return nil, attempt
		}
		if r.Mesh != nil {
			return r, attempt
		}
		if !s.drop(r.Diagnostics) {
			t.Errorf("what is wrong is in no random part: %v\n%s", r.Diagnostics, s.text())
			return nil, attempt
		}
	}
	return nil, 12
}

// drop takes the parts out that errors are about, by their lines; of those that
// name several the first.
func (s *randomSpec) drop(found diag.List) bool {
	_, line := s.lines()
	wrong := map[int]bool{}
	for _, d := range found {
		if d.Severity != diag.Error {
			continue
		}
		for _, p := range d.Positions {
			if part, ok := line[p.Line]; ok {
				wrong[part] = true
				break
			}
		}
	}
	var kept []specPart
	for i, p := range s.parts {
		if !wrong[i] {
			kept = append(kept, p)
		}
	}
	s.parts = kept
	return len(wrong) > 0
}

// maker makes values of the schema.
type maker struct {
	rand        *rand.Rand
	definitions map[string]ast.Expr
	inside      []string // the definitions that are being made
}

// oneOf are definitions of which exactly one of the fields is written, and likely
// are fields that are written more often than others.
var (
	oneOf = map[string][]string{
		"#StringMatch": {"exact", "prefix", "suffix", "regex", "present"}, "#PathMatch": {"exact", "prefix", "regex", "template"},
		"#Health": {"http", "grpc", "tcp"},
	}
	likely = map[string]float64{"match": 0.95, "path": 0.8, "to": 0.6, "redirect": 0.1, "directResponse": 0.1, "grpc": 0.1, "template": 0.2}
)

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
		return strconv.FormatInt(int64([]float64{low, high, low + 1, min(high, low+100), low + float64(m.rand.Int64N(int64(high-low)+1))}[m.rand.IntN(5)]), 10)
	case "number":
		return m.one(fmt.Sprint(low), fmt.Sprint(high), "12.5", "33.3333", "50")
	}
	if field == "pattern" || field == "regex" {
		return m.one(`"/v[0-9]+/.*"`, `"(a|b)+c?"`, `"^/x(/.*)?$"`, `".*"`, `"[^/]{1,3}"`, `"/\\p{Greek}+"`, `"/\\p{LC}"`, `"\\p{Assigned}"`, `"(?i)/A\\pL"`, `"\\Q.*\\E"`, `"\\x{d800}"`, `"[[:alpha:]]\\b"`)
	}
	if field == "substitution" {
		return m.one(`"/x"`, `"\\1"`, `""`)
	}
	switch field {
	case "identities":
		return m.one(`"spiffe://random.example/ns/default/sa/a"`, `"spiffe://random.example/ns/*"`, `"spiffe://random.example/x/y"`)
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
