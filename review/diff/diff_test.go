package diff

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/compiletest"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/compiler/try/trytest"
)

// TestEveryDifferenceIsFound makes random meshes and changes of them, and puts every request of a finite space to both
// meshes. Whatever differs is an effect, every effect has a request that differs, and a mesh does not
// differ from itself. MESHC_PAIRS is how many, and MESHC_SEED what they are made of.
func TestEveryDifferenceIsFound(t *testing.T) {
	pairs, seed := trytest.Amount(os.Getenv("MESHC_PAIRS"), 120), trytest.Seed(t)
	const parts = 8
	for part := range parts {
		t.Run(strconv.Itoa(part), func(t *testing.T) {
			t.Parallel()
			g := &trytest.Random{Rand: rand.New(rand.NewPCG(seed, uint64(part))), Keys: `"{\"keys\": []}"`}
			dir := t.TempDir()
			requests, different, effects, same := 0, 0, 0, 0
			for n := 0; n < (pairs+parts-1)/parts && !t.Failed(); {
				asked := []string{"method", "headers", "query", "jwt"}
				g.Shuffle(len(asked), func(i, j int) { asked[i], asked[j] = asked[j], asked[i] })
				g.Plain = asked[2:]
				if g.CORS = g.IntN(3) == 0; g.CORS {
					g.Plain = asked[1:]
				}
				spec := g.Spec()
				before := compiled(t, dir, spec.Text())
				if before == nil {
					continue
				}
				for range 3 { // of one mesh
					edited := g.Edited(spec)
					after := compiled(t, dir, edited.Text())
					if after == nil {
						continue
					}
					n++
					d := Of(before, after)
					all, found := bruteForce(t, before, after, d, g)
					requests, different, effects = requests+all, different+found, effects+len(d.Effects)
					if len(d.Effects) == 0 {
						same++
					}
					if t.Failed() {
						t.Fatalf("before:\n%s\nafter:\n%s", spec.Text(), edited.Text())
					}
					if again := Of(after, after.Clone()); !again.Empty() {
						t.Fatalf("it differs from itself: %v\n%s", again.Effects[0], edited.Text())
					}
				}
			}
			t.Logf("of %d requests %d differ, and %d effects are found; in %d changes none", requests, different,
				effects, same)
			if different == 0 || effects == 0 {
				t.Error("no difference: that proves nothing")
			}
		})
	}
}

// bruteForce puts every request to both meshes, and wants those that differ to be effects; and of effects the
// witnesses to differ.
func bruteForce(t *testing.T, before, after *ir.Mesh, d *Difference, g *trytest.Random) (all, different int) {
	t.Helper()
	known := map[string]bool{}
	for _, e := range d.Effects {
		for _, who := range e.From {
			name := who.String()
			if strings.HasPrefix(who.Other, "others, as spiffe://shop.example/") {
				name = "stranger"
			}
			known[strings.Join([]string{string(e.Kind), name, e.To.String(), e.What, e.Was, e.Is}, "|")] = true
		}
		if e.Witness == nil {
			continue
		}
		a, b := tried(before, &e.Witness.Request), tried(after, &e.Witness.Request)
		switch kind := kindOf(a, b); {
		case e.Kind == Timing || e.Kind == Handled:
			if a.class() != b.class() {
				t.Errorf("%s is %s for its witness %s", e.Kind, kind, e.Witness.Command)
			}
		case kind != e.Kind:
			t.Errorf("%s is %q for its witness %s", e.Kind, kind, e.Witness.Command)
		}
	}
	for r, who := range everyRequest(g) {
		all++
		a, b := tried(before, &r), tried(after, &r)
		kind := kindOf(a, b)
		if kind == "" {
			continue
		}
		to, what := "service "+r.Host, ""
		switch r.From.Kind {
		case ir.KindGateway:
			to = "gateway g"
		case ir.KindIdentity, try.Outside:
			what = Directly
			way := r
			way.From = try.Sender{Kind: ir.KindService, Name: "a"}
			if kind != NewlyAllowed && kind != NewlyDenied ||
				who == "service a" && kindOf(tried(before, &way), tried(after, &way)) == kind {
				continue // of no interest, or told already
			}
		}
		different++
		key := strings.Join([]string{string(kind), who, to, what, a.text(true), b.text(true)}, "|")
		if !known[key] {
			t.Errorf("not found: %s\n%s", key, r.Command())
			for _, e := range d.Effects {
				t.Logf("found: %s %s %s %s: %s -> %s", e.Kind, e.From, e.To, e.What, e.Was, e.Is)
			}
			return all, different
		}
	}
	return all, different
}

// valueLists are none of a header's values, each alone, and by chance some of two to five.
func valueLists(g *trytest.Random) []string {
	values := []string{"v", "v1", "vw", "w", ""}
	lists := append([]string{"-"}, values...)
	for n := 2; n <= len(values); n++ {
		g.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
		lists = append(lists, strings.Join(values[:n], ","))
	}
	return lists
}

// preflights are a request and, in a mesh with CORS, its question whether a page may send it, whole and with a part
// missing.
func preflights(r try.Request, g *trytest.Random) []try.Request {
	out := []try.Request{r}
	if !g.CORS || r.Method != "GET" {
		return out
	}
	origin := ir.Header{Name: "origin", Value: "https://a.example"}
	asks := ir.Header{Name: "access-control-request-method", Value: "PUT"}
	r.Method = "OPTIONS"
	for _, said := range [][]ir.Header{{origin, asks}, {asks}, {origin}} {
		question := r
		question.Headers = slices.Concat(r.Headers, said)
		out = append(out, question)
	}
	return out
}

// everyRequest are those of a finite space, each with who sends it.
func everyRequest(g *trytest.Random) func(yield func(try.Request, string) bool) {
	type sender struct {
		try.Sender
		who, host string
	}
	var senders []sender
	for _, host := range []string{"b", "c"} {
		senders = append(senders,
			sender{try.Sender{Kind: ir.KindService, Name: "a"}, "service a", host},
			sender{try.Sender{Kind: try.Outside}, "outside", host},
			sender{try.Sender{Kind: ir.KindIdentity, Name: "spiffe://shop.example/ns/other/sa/y"}, "stranger", host},
		)
		for _, name := range []string{"a", "g"} {
			who := map[string]string{"a": "service a", "g": "gateway g"}[name]
			senders = append(senders,
				sender{
					try.Sender{Kind: ir.KindIdentity, Name: "spiffe://shop.example/ns/default/sa/" + name},
					who,
					host,
				})
		}
	}
	for _, host := range []string{"one.example", "x.example", "y.two.example", "elsewhere.test"} {
		senders = append(senders, sender{try.Sender{Kind: ir.KindGateway, Name: "g"}, "gateway g", host})
	}
	choose := func(part string, values ...string) []string {
		if slices.Contains(g.Plain, part) {
			return values[:1]
		}
		return values
	}
	roles := [][]string{nil, {"buyer"}, {"admin"}, {"cook"}, {"buyer", "admin"}, {"cook", "buyer", "admin", "host"}}
	headers := valueLists(g)
	return func(yield func(try.Request, string) bool) {
		for _, s := range senders {
			for _, path := range []string{
				"/", "/a", "/a/", "/a/b", "/b", "/x/b", "/a/b/c", "/u/7/x", "/u/7", "/a%20b",
				"/ab", "/u/a/x", "/z", "/z/b", "/a/x/b",
			} {
				for _, query := range choose("query", "", "?q=1", "?q=12", "?q=", "?q=x", "?r=1") {
					for _, method := range choose("method", "GET", "POST", "PUT", "DELETE") {
						for _, header := range choose("headers", headers...) {
							for _, token := range choose("jwt", "-", "accounts", "accounts x", "accounts w x",
								"other") {
								for i, role := range roles {
									if i > 0 && (token == "-" || token == "other") {
										continue
									}
									r := try.Request{
										From: s.Sender, Method: method, Scheme: "http", Host: s.host,
										Port: 8080, Path: path + query,
									}
									if header != "-" {
										for _, v := range strings.Split(header, ",") {
											r.Headers = append(r.Headers, ir.Header{Name: "x-k", Value: v})
										}
									}
									if token != "-" {
										words := strings.Fields(token)
										r.Token = &try.Token{Issuer: words[0], Claims: map[string][]string{
											"role": role,
											"team": words[1:],
										}}
									}
									for _, asks := range preflights(r, g) {
										if !yield(asks, s.who) {
											return
										}
									}
								}
							}
						}
					}
				}
			}
		}
	}
}

// compiled is a mesh that compiles; nil for one that does not.
func compiled(t testing.TB, dir, text string) *ir.Mesh {
	t.Helper()
	r := compiletest.Compile(t, dir, map[string]string{"mesh.cue": text})
	for _, d := range r.Diagnostics { // random routes hide others, and the like; but they are written in the language
		if strings.HasPrefix(string(d.Code), "MC01") || strings.HasPrefix(string(d.Code), "MC02") {
			t.Fatal(fmt.Sprint(d.Code, d.Message, "\n", text))
		}
	}
	return r.Mesh
}
