package load

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/load"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/spec"
)

// chunk is how many units share a CUE context. A context never gives memory
// back, so a large mesh goes through many; each costs one build of the schema.
const chunk = 96

// Evaluated is the result for one unit. Spec is nil if the unit has errors.
type Evaluated struct {
	Unit
	Spec  *spec.Unit
	Found diag.List
	// Lost are the names that a unit with errors declares, as far as its syntax shows them. LostAll is true if the
	// syntax cannot be read.
	Lost    []string
	LostAll bool
}

// Evaluate evaluates the units with the schema, and sets tags as the option -t of cue does. It does not evaluate
// units that are in the cache. The results have the order of the units. If apart is not nil, the units are evaluated
// in a sandbox, and the cache is not used. It returns an error if the context ends.
func (m *Module) Evaluate(ctx context.Context, units []Unit, tags []string, cache *Cache, apart *Apart) ([]Evaluated,
	error,
) {
	if apart != nil {
		return m.evaluateApart(ctx, apart, units, tags)
	}
	results := make([]Evaluated, len(units))
	var missing []int
	keys := m.keys(units, tags)
	for i, u := range units {
		results[i].Unit = u
		if results[i].Spec = cache.get(keys[i]); results[i].Spec == nil {
			missing = append(missing, i)
		}
	}
	// CUE cannot be interrupted: what it is at when the context ends is left alone.
	done := make(chan error, 1)
	go func() { done <- m.evaluateAll(ctx, results, missing, tags) }()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case err := <-done:
		if err != nil {
			return nil, err
		}
	}
	for i := range results {
		if results[i].Spec != nil {
			cache.put(keys[i], results[i].Spec)
		}
	}
	return results, nil
}

// evaluateAll evaluates those of the results that are missing, in chunks, on
// every processor.
func (m *Module) evaluateAll(ctx context.Context, results []Evaluated, missing []int, tags []string) error {
	size := min(chunk, max(1, (len(missing)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0)))
	work := make(chan []int)
	faults := make(chan error, runtime.GOMAXPROCS(0))
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (len(missing)+size-1)/size) {
		workers.Go(func() {
			schemaFiles, err := parseSchema()
			for part := range work {
				if err == nil {
					err = m.evaluateChunk(ctx, results, part, tags, schemaFiles)
				}
			}
			if err != nil {
				faults <- err
			}
		})
	}
	for part := range slices.Chunk(missing, size) {
		work <- part
	}
	close(work)
	workers.Wait()
	close(faults)
	return <-faults
}

// evaluateChunk evaluates some units in one CUE context.
func (m *Module) evaluateChunk(ctx context.Context, results []Evaluated, part []int, tags []string,
	schemaFiles []*ast.File,
) error {
	units := make([]Unit, len(part))
	for i, n := range part {
		units[i] = results[n].Unit
	}
	instances := m.instances(units, tags)
	if len(instances) != len(part) {
		return fmt.Errorf("cue loaded %d of %d packages", len(instances), len(part))
	}
	c := cuecontext.New()
	root, err := buildSchema(c, schemaFiles)
	if err != nil {
		return err
	}
	for i, n := range part {
		if err := ctx.Err(); err != nil {
			return err
		}
		if m.tell != nil {
			m.tell(beginWord, results[n].Dir)
		}
		if err := results[n].evaluate(c, root, instances[i]); err != nil {
			return err
		}
		if m.tell != nil {
			m.tell(endWord, results[n].Dir)
		}
	}
	return nil
}

// instances are the units as CUE loads them, with all that they import.
func (m *Module) instances(units []Unit, tags []string) []*build.Instance {
	args := make([]string, len(units))
	for i, u := range units {
		args[i] = "./" + u.Dir + ":" + u.pkg
	}
	return load.Instances(args, &load.Config{
		Dir: virtualRoot, ModuleRoot: virtualRoot, Overlay: m.overlay(), Tags: tags,
		Env: []string{"CUE_REGISTRY=none"}, // what is not in the repository is not read
	})
}

// evaluate unifies one unit with the schema and decodes it.
func (e *Evaluated) evaluate(c *cue.Context, root cue.Value, instance *build.Instance) (fault error) {
	defer func() {
		if p := recover(); p != nil {
			fault = fmt.Errorf("CUE fails on the unit %s: %v", e.Dir, p)
		}
	}()
	if instance.Err != nil {
		e.Found, e.LostAll = fromCUE(instance.Err, diag.CUEEvaluation, e.Dir), true
		return nil
	}
	v := c.BuildInstance(instance)
	unified := root.Unify(v)
	names, syntax := e.ownFiles(instance)
	locator := spec.NewLocator(names, syntax)
	if err := unified.Validate(cue.Concrete(true)); err != nil {
		e.Found = explain(v, root, locator, err)
		for _, kind := range []string{"services", "gateways", "external"} {
			e.Lost = append(e.Lost, locator.Children([]string{kind})...)
		}
		return nil
	}
	decoded, err := spec.Decode(unified, locator)
	if err != nil {
		return fmt.Errorf("unit %s: %w", e.Dir, err)
	}
	e.Spec = decoded
	return nil
}

// ownFiles are the files of the unit, by name and as syntax.
func (e *Evaluated) ownFiles(instance *build.Instance) ([]string, []*ast.File) {
	var names []string
	for _, f := range instance.Files {
		names = append(names, relativeName(f.Filename))
	}
	return names, instance.Files
}
