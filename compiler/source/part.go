package source

import (
	"path"
	"slices"
	"strings"
)

// Part is a part of a module: what is written in some of its directories. A nil Part is the whole module.
type Part struct {
	// Directories are those that were asked for, and Left are the directories of the other packages, both sorted.
	Directories []Directory
	Left        []string
}

// Directory is a directory of the module, below its root and "." for the root itself.
type Directory struct {
	Path string
	// Below says that the directories below it are meant too.
	Below bool
}

// String is the directory as packages are given to commands, from the module's root.
func (d Directory) String() string {
	text := d.Path
	if d.Below {
		text = path.Join(text, "...")
	}
	return text
}

// Has reports whether a directory is meant.
func (d Directory) Has(dir string) bool {
	return dir == d.Path || d.Below && (d.Path == "." || strings.HasPrefix(dir, d.Path+"/"))
}

// above reports whether the package there has the files of a directory too.
func (d Directory) above(dir string) bool { return dir == "." || strings.HasPrefix(d.Path, dir+"/") }

// Has reports whether what was written there is of the part. What was written nowhere is of every part.
func (p *Part) Has(at Position) bool {
	return !at.IsValid() || p.HasDirectory(path.Dir(at.File))
}

// HasDirectory reports whether a directory is of the part.
func (p *Part) HasDirectory(dir string) bool {
	return p == nil || slices.ContainsFunc(p.Directories, func(d Directory) bool { return d.Has(dir) })
}

// Concerns reports whether something is the part's to know in which those places took part: one of them is of the
// part, or none is of a package that does not go into the part.
func (p *Part) Concerns(at []Position) bool {
	if p == nil {
		return true
	}
	return slices.ContainsFunc(at, p.Has) || !slices.ContainsFunc(at, func(pos Position) bool { return !p.sees(pos) })
}

// sees reports whether a place is in a directory above one of the part, whose files are seen there.
func (p *Part) sees(at Position) bool {
	return slices.ContainsFunc(p.Directories, func(d Directory) bool { return d.above(path.Dir(at.File)) })
}

// String names the directories.
func (p *Part) String() string {
	names := make([]string, len(p.Directories))
	for i, d := range p.Directories {
		names[i] = d.String()
	}
	return strings.Join(names, ", ")
}
