package render_test

import (
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/try/trytest"
)

// TestRandomSpecsPleaseEnvoy makes specs at random from the schema itself, and has
// a real Envoy judge those that compile, by one proxy of each member: it must refuse none. MESHC_RANDOM_SPECS
// says how many must compile (200).
func TestRandomSpecsPleaseEnvoy(t *testing.T) {
	wanted, seed := trytest.Amount(os.Getenv("MESHC_RANDOM_SPECS"), 200), trytest.Seed(t)
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
				judge.some(t, good.Mesh, m.rand)
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
	for _, list := range []string{
		"services.a.routes", "services.b.routes", "gateways.g.routes", "services.a.allow",
		"services.b.allow", "services.a.deny", "services.b.deny",
	} {
		write(-1, strings.ReplaceAll(list, ".", ": ")+": [")
		if strings.HasSuffix(list, ".allow") {
			write(-1, `{from: {gateways: ["g"], services: ["`+map[string]string{
				"services.a.allow": "b",
				"services.b.allow": "a",
			}[list]+`"]}},`)
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
		for name, text := range map[string]string{
			"/cue.mod/module.cue": "module: \"random.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n",
			"/mesh.cue":           s.text(),
		} {
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

// oneOf are definitions of which exactly one of the fields is written, and likely
// are fields that are written more often than others.
var (
	oneOf = map[string][]string{
		"#StringMatch": {"exact", "prefix", "suffix", "regex", "present"}, "#PathMatch": {
			"exact", "prefix", "regex",
			"template",
		},
		"#Health": {"http", "grpc", "tcp"},
	}
	likely = map[string]float64{
		"match": 0.95, "path": 0.8, "to": 0.6, "redirect": 0.1, "directResponse": 0.1,
		"grpc": 0.1, "template": 0.2,
	}
)
