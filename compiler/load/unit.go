package load

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/source"
)

// Unit is a compile unit: a directory with files of the mesh's package, and the
// files of that package in the directories above.
type Unit struct {
	// Dir is below the module's root, "." for the root itself.
	Dir string
	// Files are paths below the module's root, from the root down.
	Files []string
	pkg   string
}

// Units are those that the patterns choose, as with cue: "./cart", "../cart/...",
// "shop.example/mesh/cart", each with an optional ":package". A mesh is a whole: without
// patterns, and by "./...", they are those of the whole module, in whichever of its directories
// that is said. They are sorted by directory, each once.
func (m *Module) Units(patterns []string) ([]Unit, diag.List) {
	if len(patterns) == 0 {
		patterns = []string{"./..."}
	}
	if m.broken {
		return nil, nil
	}
	var found diag.List
	chosen := map[string]Unit{}
	for _, pattern := range patterns {
		dir, pkg, deep, ok := m.resolve(pattern)
		if !ok {
			found.Add(diag.New(diag.UnknownPackage, "", fmt.Sprintf("package %q is outside the module %s", pattern, m.Path)).
				WithHint("packages are given as with cue: ./... or ./services/cart"))
			continue
		}
		if pkg == "" {
			names := m.packagesFor(dir, deep)
			if len(names) > 1 {
				found.Add(diag.New(diag.UnknownPackage, "", fmt.Sprintf("%q could mean the packages %s", pattern, strings.Join(names, " and "))).
					WithHint("say which one: %s:%s", pattern, names[0]))
				continue
			}
			if len(names) == 1 {
				pkg = names[0]
			}
		}
		before := len(chosen)
		for _, d := range sortedKeys(m.dirs) {
			inside := d == dir || deep && (dir == "." || strings.HasPrefix(d, dir+"/"))
			if !inside || len(m.filesOf(d, pkg)) == 0 || inModuleDir(d) {
				continue
			}
			if strings.ContainsAny(d, "@:") { // which say something else in an import path
				found.Add(diag.New(diag.UnknownPackage, "", fmt.Sprintf("the directory %q cannot be a package of CUE: its name has \"@\" or \":\"", d), source.Position{File: m.filesOf(d, pkg)[0]}).
					WithHint("give it another name"))
				continue
			}
			chosen[d] = m.unit(d, pkg)
		}
		if len(chosen) == before && pkg == "" && !m.hasBadFile(dir, deep) {
			found.Add(diag.New(diag.NoUnits, "", fmt.Sprintf("%q holds no CUE files with a package", pattern), source.Position{File: m.example(dir)}).
				WithHint("a mesh repository begins with a mesh.cue; meshc init DIR writes one"))
		} else if len(chosen) == before && !m.hasBadFile(dir, deep) && !slices.ContainsFunc(patterns, func(p string) bool { return p != pattern }) {
			found.Add(diag.New(diag.NoUnits, "", fmt.Sprintf("%q holds no files of package %s", pattern, pkg)))
		}
	}
	units := make([]Unit, 0, len(chosen))
	for _, dir := range sortedKeys(chosen) {
		units = append(units, chosen[dir])
	}
	return units, found
}

// resolve takes a pattern apart into a directory below the module's root, the
// package that it names, and whether it means the directories below too.
func (m *Module) resolve(pattern string) (dir, pkg string, deep, ok bool) {
	name, pkg, _ := strings.Cut(pattern, ":")
	name, deep = cutDots(name)
	switch {
	case deep && name == ".":
		dir = "."
	case name == "." || name == ".." || strings.HasPrefix(name, "./") || strings.HasPrefix(name, "../") || name == "":
		dir = path.Join(m.start, name)
	case name == m.Path || strings.HasPrefix(name, m.Path+"/"):
		dir = path.Join(".", strings.TrimPrefix(strings.TrimPrefix(name, m.Path), "/"))
	default:
		dir = path.Join(m.start, name)
		if _, exists := m.dirs[dir]; !exists {
			return "", "", false, false
		}
	}
	if dir == ".." || strings.HasPrefix(dir, "../") || strings.HasPrefix(dir, "/") {
		return "", "", false, false
	}
	return dir, pkg, deep, true
}

func cutDots(name string) (dir string, deep bool) {
	if name == "..." {
		return ".", true
	}
	dir, deep = strings.CutSuffix(name, "/...")
	return dir, deep
}

// packagesFor are the packages that a pattern without one could mean: that of
// the module's root, else those of the directory, else those below it.
func (m *Module) packagesFor(dir string, deep bool) []string {
	if names := m.packagesIn("."); len(names) > 0 {
		return names
	}
	if names := m.packagesIn(dir); len(names) > 0 || !deep {
		return names
	}
	var names []string
	for _, d := range sortedKeys(m.dirs) {
		if (dir == "." || strings.HasPrefix(d, dir+"/")) && !inModuleDir(d) {
			names = append(names, m.packagesIn(d)...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (m *Module) packagesIn(dir string) []string {
	var names []string
	for _, entry := range m.dirs[dir] {
		if f := m.files[path.Join(dir, entry.Name())]; f != nil && built(f) && f.pkg != "" && f.pkg != "_" {
			names = append(names, f.pkg)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// filesOf are the files of that package in the directory, sorted by name.
func (m *Module) filesOf(dir, pkg string) []string {
	k := [2]string{dir, pkg}
	names, known := m.packages[k]
	if !known {
		names = m.findFilesOf(dir, pkg)
		m.packages[k] = names
	}
	return names
}

func (m *Module) findFilesOf(dir, pkg string) []string {
	var names []string
	for _, entry := range m.dirs[dir] {
		name := path.Join(dir, entry.Name())
		if f := m.files[name]; f != nil && f.pkg == pkg && pkg != "" && built(f) {
			names = append(names, name)
		}
	}
	return names
}

func (m *Module) unit(dir, pkg string) Unit {
	u := Unit{Dir: dir, pkg: pkg}
	for d := dir; ; d = path.Dir(d) {
		u.Files = slices.Concat(m.filesOf(d, pkg), u.Files)
		if d == "." {
			return u
		}
	}
}

// built reports whether the file takes part in a build: cue leaves tests and
// tools out.
func built(f *file) bool {
	return !f.bad && !strings.HasSuffix(f.path, "_test.cue") && !strings.HasSuffix(f.path, "_tool.cue")
}

func inModuleDir(dir string) bool { return dir == "cue.mod" || strings.HasPrefix(dir, "cue.mod/") }

// hasBadFile reports whether a file there was already reported, so that an
// empty result needs no words.
func (m *Module) hasBadFile(dir string, deep bool) bool {
	for name, f := range m.files {
		if f.bad && (path.Dir(name) == dir || deep && (dir == "." || strings.HasPrefix(name, dir+"/"))) {
			return true
		}
	}
	return false
}

// example is a CUE file in the directory, or the module file.
func (m *Module) example(dir string) string {
	for _, entry := range m.dirs[dir] {
		if name := path.Join(dir, entry.Name()); m.files[name] != nil {
			return name
		}
	}
	return moduleFile
}
