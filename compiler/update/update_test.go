package update_test

import (
	"math/rand/v2"
	"testing"

	"github.com/meshc/meshc/compiler/compiletest"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/compiler/try/trytest"
	"github.com/meshc/meshc/compiler/update"
)

// TestStages changes random meshes at random, and puts random requests to every mixture of the proxies of a stage and
// the next: what the mesh lets in before and after is let in. What comes to a service directly, and it refuses before
// and after, is refused.
func TestStages(t *testing.T) {
	seed := trytest.Seed(t)
	g := &trytest.Random{Rand: rand.New(rand.NewPCG(seed, 0)), Keys: `"{\"keys\": []}"`}
	dir := t.TempDir()
	staged, tried, lost := 0, 0, 0
	for n := 0; n < 60; {
		spec := g.Spec()
		before := compiled(t, dir, spec)
		if before == nil {
			continue
		}
		edited := g.Edited(g.Edited(spec))
		after := compiled(t, dir, edited)
		if after == nil {
			continue
		}
		n++
		stages := update.Stages(before, after)
		if stages[len(stages)-1] != after {
			t.Fatal("the last stage is not the new mesh")
		}
		if len(stages) > 1 {
			staged++
		}
		var mixtures []*ir.Mesh
		last := before
		for _, stage := range stages {
			if err := stage.Valid(); err != nil {
				t.Fatalf("a stage is no mesh: %v", err)
			}
			mixtures = append(mixtures, stage, update.WithDoors(last, stage), update.WithDoors(stage, last))
			last = stage
		}
		for range 200 {
			r, _ := g.Request(func(string, map[string]any) string { return "" })
			if g.IntN(2) == 0 { // to the door itself
				r.From, r.Host = try.Sender{Kind: ir.KindIdentity, Name: "spiffe://shop.example/ns/default/sa/" +
					[]string{"a", "g", "other"}[g.IntN(3)]}, []string{"b", "c"}[g.IntN(2)]
			}
			was, is := letsIn(t, before, r), letsIn(t, after, r)
			if was != is || !was && (r.From.Kind != ir.KindIdentity || letInWithoutToken(t, before, after, r)) {
				continue
			}
			tried++
			for _, m := range mixtures {
				if letsIn(t, m, r) == was {
					continue
				}
				if !was {
					t.Fatalf("%s is let in on the way, and neither before nor after\nbefore:\n%s\nafter:\n%s",
						r.Command(), spec.Text(), edited.Text())
				}
				lost++ // what a rule of deny goes away with is refused until the end
				break
			}
		}
	}
	t.Logf("%d of 60 changes are in stages; %d requests, %d of which are refused on the way", staged, tried, lost)
	if staged == 0 || lost > tried/200 {
		t.Errorf("%d in stages, and %d of %d requests are refused on the way", staged, lost, tried)
	}
	if got := update.Stages(nil, compiled(t, dir, g.Spec())); len(got) != 1 {
		t.Error("the first mesh comes in stages")
	}
}

// letInWithoutToken reports whether a request is refused for its token alone, which is of an issuer that the service
// does not know: who leaves it out is let in.
func letInWithoutToken(t *testing.T, before, after *ir.Mesh, r try.Request) bool {
	if r.Token == nil {
		return false
	}
	r.Token = nil
	return letsIn(t, before, r) || letsIn(t, after, r)
}

func letsIn(t *testing.T, m *ir.Mesh, r try.Request) bool {
	t.Helper()
	trial, err := try.Try(m, r)
	if err != nil {
		t.Fatal(err)
	}
	return trial.Allowed()
}

// compiled is a mesh; nil when it does not compile.
func compiled(t *testing.T, dir string, spec *trytest.Spec) *ir.Mesh {
	t.Helper()
	return compiletest.Compile(t, dir, map[string]string{"mesh.cue": spec.Text()}).Mesh
}
