package load

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"cuelang.org/go/mod/module"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/source"
)

// Unit is a directory with files of the mesh's package, together with the files of that package in the directories
// above.
type Unit struct {
	// Dir is the path of the directory below the module's root; "." for the root itself.
	Dir string
	// Files are paths below the module's root; files of the root come first.
	Files []string
	pkg   string
}

// Units returns all units of the module, and the part of it that the patterns select. Patterns have the form of cue:
// "./cart", "../cart/...", "shop.example/mesh/cart", each with an optional ":package". The part is nil if the whole
// module is selected: without patterns, with "./..." in any directory of the module, or if the patterns omit nothing.
// If a pattern is wrong, there are findings and no units. Units are sorted by directory, without duplicates.
func (m *Module) Units(patterns []string) (units []Unit, part *source.Part, found diag.List) {
	if len(patterns) == 0 {
		patterns = []string{"./..."}
	}
	if m.broken {
		return nil, nil, nil
	}
	all, chosen := map[string]Unit{}, map[string]Unit{}
	asked := map[source.Directory]bool{}
	whole := source.Directory{Path: ".", Below: true}
	for _, pattern := range patterns {
		of, pkg, problem := m.choose(pattern, len(patterns) == 1)
		if problem != nil {
			found.Add(*problem)
			continue
		}
		asked[of] = true
		maps.Copy(chosen, m.unitsIn(of, pkg))
		maps.Copy(all, m.unitsIn(whole, pkg))
	}
	if found.HasErrors() {
		return nil, nil, found
	}
	part = &source.Part{}
	for _, dir := range sortedKeys(all) {
		unit := all[dir]
		if why := notImportable(dir); why != nil {
			found.Add(diag.New(diag.UnknownPackage, "",
				fmt.Sprintf("the directory %q cannot be a package of CUE: %v", dir, why),
				source.Position{File: m.filesOf(dir, unit.pkg)[0]}).
				WithHint("give it another name"))
			continue
		}
		units = append(units, unit)
		if _, here := chosen[dir]; !here {
			part.Left = append(part.Left, dir)
		}
	}
	if asked[whole] || len(part.Left) == 0 {
		return units, nil, found
	}
	part.Directories = slices.SortedFunc(maps.Keys(asked), func(a, b source.Directory) int {
		return strings.Compare(a.String(), b.String())
	})
	return units, part, found
}

// notImportable is why a directory cannot be a package of CUE, which takes fewer names than a file system does; nil for
// one that can be. CUE itself would say of another package that it cannot be found.
func notImportable(dir string) error {
	if dir == "." {
		return nil
	}
	if strings.ContainsAny(dir, "@:") { // which say something else in an import path
		return errors.New(`its name has "@" or ":"`)
	}
	err := module.CheckImportPath("mesh.example/" + dir)
	var invalid *module.InvalidPathError
	if errors.As(err, &invalid) {
		err = invalid.Err
	}
	return err
}

// choose returns the directories and the package that a pattern means, or the problem with it. If alone is set, the
// pattern must match files.
func (m *Module) choose(pattern string, alone bool) (of source.Directory, pkg string, problem *diag.Diagnostic) {
	wrong := func(code diag.Code, at source.Position, hint, format string, args ...any) (source.Directory, string,
		*diag.Diagnostic,
	) {
		d := diag.New(code, "", fmt.Sprintf(format, args...), at).WithHint("%s", hint)
		return of, pkg, &d
	}
	nowhere := source.Position{}
	dir, pkg, deep, ok := m.resolve(pattern)
	if !ok {
		return wrong(diag.UnknownPackage, nowhere, "packages are given as with cue: ./... or ./services/cart",
			"package %q is outside the module %s", pattern, m.Path)
	}
	of = source.Directory{Path: dir, Below: deep}
	if pkg == "" {
		names := m.packagesFor(dir, deep)
		if len(names) > 1 {
			return wrong(diag.UnknownPackage, nowhere, "say which one: "+pattern+":"+names[0],
				"%q could mean the packages %s", pattern, strings.Join(names, " and "))
		}
		if len(names) == 1 {
			pkg = names[0]
		}
	}
	switch {
	case len(m.unitsIn(of, pkg)) > 0 || m.hasBadFile(dir, deep):
	case pkg == "":
		return wrong(diag.NoUnits, m.example(dir),
			"a mesh repository begins with a mesh.cue; meshc init DIR writes one",
			"%q holds no CUE files with a package", pattern)
	case alone:
		return wrong(diag.NoUnits, nowhere, "", "%q holds no files of package %s", pattern, pkg)
	}
	return of, pkg, nil
}

// unitsIn are the units of the directories and of that package, by directory.
func (m *Module) unitsIn(of source.Directory, pkg string) map[string]Unit {
	units := map[string]Unit{}
	for dir := range m.dirs {
		if of.Has(dir) && len(m.filesOf(dir, pkg)) > 0 && !inModuleDir(dir) {
			units[dir] = m.unit(dir, pkg)
		}
	}
	return units
}

// resolve splits a pattern into a directory below the module's root, the package that it names, and whether it
// includes the directories below.
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

// packagesFor returns the packages that a pattern without a package could mean: that of the module's root, or else
// those of the directory, or else those below it.
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
func (m *Module) example(dir string) source.Position {
	for _, entry := range m.dirs[dir] {
		if name := path.Join(dir, entry.Name()); m.files[name] != nil {
			return source.Position{File: name}
		}
	}
	return source.Position{File: moduleFile}
}
