package serve

import (
	"hash/maphash"
	"maps"
)

// shards is a power of two: a change of a table copies one of so many parts.
const shards = 128

var tableSeed = maphash.MakeSeed()

// table is a map by name that never changes: replace returns another one, which shares all but a small part with it.
// Its zero value is empty.
type table[V any] struct {
	parts [shards]map[string]V
}

func shardOf(name string) int { return int(maphash.String(tableSeed, name) % shards) }

// get returns the value of a name; the zero value if there is none.
func (t *table[V]) get(name string) V {
	if t == nil {
		var none V
		return none
	}
	return t.parts[shardOf(name)][name]
}

// replace returns the table with other values of some names, and without those that are gone.
func (t *table[V]) replace(changed map[string]V, gone ...string) *table[V] {
	next := &table[V]{}
	if t != nil {
		*next = *t
	}
	var copied [shards]bool
	part := func(name string) map[string]V {
		i := shardOf(name)
		if !copied[i] {
			part := make(map[string]V, len(next.parts[i])+1)
			maps.Copy(part, next.parts[i])
			next.parts[i], copied[i] = part, true
		}
		return next.parts[i]
	}
	for name, value := range changed {
		part(name)[name] = value
	}
	for _, name := range gone {
		delete(part(name), name)
	}
	return next
}
