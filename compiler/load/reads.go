package load

import (
	"bytes"
	"crypto/sha256"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"
)

// vendored is the directory of the module file, and of packages of others.
const vendored = "cue.mod"

// reads says of which directories CUE reads files when it evaluates a unit: its own and those above, in which
// CUE parses each file to see whose it is; those of each package that one of these files imports; and so on. All
// of cue.mod is taken to be read for every unit. Imports are found with CUE's own parser.
type reads struct {
	m *Module
	// of are the files that stand in each directory, sorted; those below cue.mod are all in cue.mod.
	of map[string][]string
	// imports are the directories that the files in a directory import.
	imports map[string][]string
	hashes  map[string][]byte
}

func (m *Module) reads() *reads {
	r := &reads{
		m: m, of: map[string][]string{vendored: nil}, imports: map[string][]string{},
		hashes: map[string][]byte{},
	}
	for _, name := range sortedKeys(m.files) {
		dir := path.Dir(name)
		if inModuleDir(dir) {
			dir = vendored
		}
		r.of[dir] = append(r.of[dir], name)
	}
	return r
}

// directories are those of which CUE reads files for a unit in a directory, sorted.
func (r *reads) directories(dir string) []string {
	seen := map[string]bool{}
	next := []string{dir, vendored}
	for len(next) > 0 {
		d := next[len(next)-1]
		next = next[:len(next)-1]
		if seen[d] {
			continue
		}
		seen[d] = true
		if d != "." && d != vendored {
			next = append(next, path.Dir(d))
		}
		next = append(next, r.importedBy(d)...)
	}
	return slices.Sorted(maps.Keys(seen))
}

// hash is that of the names and contents of the files in a directory.
func (r *reads) hash(dir string) []byte {
	if known, ok := r.hashes[dir]; ok {
		return known
	}
	h := sha256.New()
	for _, name := range r.of[dir] {
		writeString(h, name)
		h.Write(r.m.files[name].hash[:])
	}
	r.hashes[dir] = h.Sum(nil)
	return r.hashes[dir]
}

// importedBy are the directories of the packages that files in a directory import.
func (r *reads) importedBy(dir string) []string {
	known, ok := r.imports[dir]
	if ok {
		return known
	}
	for _, name := range r.of[dir] {
		paths, ok := r.m.files[name].imports()
		if !ok {
			known = slices.Collect(maps.Keys(r.of))
			break
		}
		for _, p := range paths {
			if rest, in := strings.CutPrefix(p, r.m.Path); in && (rest == "" || rest[0] == '/') {
				known = append(known, path.Join(".", rest))
			} // else it is a package of CUE's own, or in cue.mod, or nowhere
		}
	}
	r.imports[dir] = known
	return known
}

// imports are the paths of the packages that a file imports, without version and name; false when CUE cannot say.
func (f *file) imports() (paths []string, ok bool) {
	if f.bad || !bytes.Contains(f.data, []byte("import")) {
		return nil, true
	}
	syntax, err := parser.ParseFile(f.path, f.data, parser.ImportsOnly)
	if err != nil {
		return nil, false
	}
	for spec := range syntax.ImportSpecs() {
		text, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, false
		}
		paths = append(paths, ast.ParseImportPath(text).Path)
	}
	return paths, true
}
