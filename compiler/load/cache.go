package load

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/gob"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/meshc/meshc/compiler/atomicfile"
	"github.com/meshc/meshc/compiler/program"
	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/schema"
)

// shards is how many files the cache is spread over: an edited unit rewrites
// one of them, and they are read side by side.
const shards = 32

type key [sha256.Size]byte

func (k key) shard() int { return int(k[0]) % shards }

// Cache stores evaluated units, by the hash of all inputs: the schema, this build of meshc, the tags, and every CUE
// file that CUE reads for the unit. A nil Cache stores nothing.
type Cache struct {
	dir   string
	known [shards]map[key]*spec.Unit
	used  [shards]map[key]*spec.Unit
	fresh [shards]bool
}

// OpenCache opens the cache of an earlier run for the module and the tags. Entries that cannot be read are ignored.
func OpenCache(dir, module string, tags []string) *Cache {
	if dir == "" {
		return nil
	}
	name := sha256.Sum256([]byte(module + "\x00" + strings.Join(tags, "\x00")))
	c := &Cache{dir: filepath.Join(dir, "units", hex.EncodeToString(name[:12]))}
	parallel(shards, func(i int) {
		c.known[i] = readShard(c.shardFile(i))
		c.used[i] = make(map[key]*spec.Unit, len(c.known[i]))
	})
	return c
}

func (c *Cache) shardFile(i int) string { return filepath.Join(c.dir, fmt.Sprintf("%02d", i)) }

func readShard(name string) map[key]*spec.Unit {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	var units map[key]*spec.Unit
	if gob.NewDecoder(bytes.NewReader(data)).Decode(&units) != nil {
		return nil
	}
	return units
}

func (c *Cache) get(k key) *spec.Unit {
	if c == nil {
		return nil
	}
	u := c.known[k.shard()][k]
	if u != nil {
		u.Restore()
		u.HasNoSecrets() // else it would not have been kept
	}
	return u
}

// put keeps a unit; one with a secret in it is not kept.
func (c *Cache) put(k key, u *spec.Unit) {
	if c == nil || len(u.Secrets()) > 0 {
		return
	}
	i := k.shard()
	if _, known := c.known[i][k]; !known {
		c.fresh[i] = true
	}
	c.used[i][k] = u
}

// Save stores what this run used. Errors are ignored: the next run only takes longer.
func (c *Cache) Save() {
	if c == nil || os.MkdirAll(c.dir, 0o700) != nil {
		return
	}
	parallel(shards, func(i int) {
		if !c.fresh[i] && len(c.used[i]) == len(c.known[i]) {
			return
		}
		var b bytes.Buffer
		if gob.NewEncoder(&b).Encode(c.used[i]) != nil {
			return
		}
		atomicfile.Keep(c.shardFile(i), b.Bytes())
	})
}

// parallel calls f with 0 to n-1, on every processor.
func parallel(n int, f func(i int)) {
	var workers sync.WaitGroup
	next := make(chan int, n)
	for i := range n {
		next <- i
	}
	close(next)
	for range min(n, runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	workers.Wait()
}

// keys are the units' keys.
func (m *Module) keys(units []Unit, tags []string) []key {
	base, reads := m.baseKey(tags), m.reads()
	keys := make([]key, len(units))
	for i, u := range units {
		h := sha256.New()
		h.Write(base)
		writeString(h, u.Dir)
		writeString(h, u.pkg)
		for _, dir := range reads.directories(u.Dir) {
			writeString(h, dir)
			h.Write(reads.hash(dir))
		}
		h.Sum(keys[i][:0])
	}
	return keys
}

// baseKey is the hash of what went into every unit.
func (m *Module) baseKey(tags []string) []byte {
	h := sha256.New()
	writeString(h, program.Build())
	entries, _ := schema.FS.ReadDir(".")
	for _, e := range entries {
		data, _ := schema.FS.ReadFile(e.Name())
		writeString(h, string(data))
	}
	for _, tag := range tags {
		writeString(h, tag)
	}
	return h.Sum(nil)
}

func writeString(h hash.Hash, s string) {
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(s)))
	h.Write(n[:])
	_, _ = io.WriteString(h, s)
}
