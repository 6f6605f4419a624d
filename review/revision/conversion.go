package revision

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/source"
)

// converting are the attributes by which a file of a work tree can be another one than its blob (gitattributes).
var converting = []string{"filter", "working-tree-encoding", "ident", "text", "crlf", "eol"}

// notAsCommitted is the finding for a file that a work tree and a commit can have differently.
func notAsCommitted(file, why, hint string) diag.Diagnostic {
	return diag.New(diag.NotAsCommitted, "", file+" "+why, source.Position{File: file}).WithHint("%s", hint)
}

// converted returns the attribute by which Git converts the file; "" if there is none.
func converted(attributes map[string]string, data []byte) (attribute string) {
	given := func(name string) bool {
		return !slices.Contains([]string{"", "unspecified", "unset", "set"}, attributes[name])
	}
	switch encoding := strings.ToUpper(attributes["working-tree-encoding"]); {
	case given("filter"):
		return "filter=" + attributes["filter"]
	case given("working-tree-encoding") && encoding != "UTF-8" && encoding != "UTF8":
		return "working-tree-encoding=" + attributes["working-tree-encoding"]
	case attributes["ident"] == "set" && (bytes.Contains(data, []byte("$Id$")) || bytes.Contains(data, []byte("$Id:"))):
		return "ident"
	case attributes["eol"] == "crlf" && textOf(attributes) != "unset" && bytes.Contains(data, []byte("\n")):
		return "eol=crlf"
	}
	return ""
}

// textOf is the attribute text, or crlf, which was its name once.
func textOf(attributes map[string]string) string {
	if attributes["text"] == "unspecified" {
		return attributes["crlf"]
	}
	return attributes["text"]
}

// normalized says which attribute has Git take the CR from the ends of lines when a file is committed; "" for none.
func normalized(attributes map[string]string, autocrlf string) string {
	switch text := textOf(attributes); {
	case text == "unset":
		return ""
	case text != "unspecified":
		return "text=" + text
	case attributes["eol"] != "unspecified":
		return "eol=" + attributes["eol"]
	case autocrlf == "true" || autocrlf == "input":
		return "core.autocrlf=" + autocrlf
	}
	return ""
}

// Check returns findings for files of the revision that a checkout would convert, according to the attributes in that
// revision, and for submodules.
func (r *Revision) Check(ctx context.Context, files []File) (diag.List, error) {
	entries, err := r.entries(ctx)
	if err != nil {
		return nil, err
	}
	found := submodules(slices.Values(entries))
	// The attributes of a commit are those of an index that has it; git check-attr knows no commits before 2.40.
	dir, err := os.MkdirTemp("", "meshc-index-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	index := filepath.Join(dir, "index")
	if _, err := r.repository.git(ctx, index, nil, "read-tree", r.Commit); err != nil {
		return nil, err
	}
	attributes, err := r.repository.attributes(ctx, index, true, files)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if a := converted(attributes[f.Target], f.Data); a != "" {
			found.Add(byAttribute(f, a))
		}
	}
	return found, nil
}

// differently returns a finding if, because of an attribute, the file in the work tree differs from what a commit
// would contain. The argument edited says that the file is tracked and has been changed.
func differently(f File, attributes map[string]string, autocrlf string, edited bool) (diag.Diagnostic, bool) {
	if a := converted(attributes, f.Data); a != "" {
		return byAttribute(f, a), true
	}
	if a := normalized(attributes, autocrlf); a != "" && edited && bytes.Contains(f.Data, []byte("\r\n")) {
		return notAsCommitted(f.Target, "has lines that end with CR LF, and Git commits them with LF ("+a+")",
			"save the file with LF, and write into .gitattributes: *.cue -text"), true
	}
	return diag.Diagnostic{}, false
}

func byAttribute(f File, attribute string) diag.Diagnostic {
	return notAsCommitted(f.Target,
		"has the attribute "+attribute+" in Git, by which a checkout has another file than the commit",
		"write into .gitattributes: *.cue -filter -ident -text -eol !working-tree-encoding; git add it, and check the file out again")
}

// Check returns findings for files of the work tree that a commit would not contain as they are. Changes that are not
// committed yet are allowed.
func (r *Repository) Check(ctx context.Context, files []File) (diag.List, error) {
	index, err := r.index(ctx)
	if err != nil {
		return nil, err
	}
	found := submodules(maps.Values(index))
	attributes, err := r.attributes(ctx, "", false, files)
	if err != nil {
		return nil, err
	}
	// A checkout goes by what is committed as .gitattributes, which it can convert as well.
	committed, err := r.attributes(ctx, "", true, files)
	if err != nil {
		return nil, err
	}
	autocrlf, _ := r.Git(ctx, "config", "--get", "core.autocrlf") // unset is none
	var differ []File
	read := map[string]bool{}
	for _, f := range files {
		read[f.Path] = true
		e, tracked := index[f.Target]
		if f.Data == nil && e.mode == modeLink {
			continue // Git converts no links
		}
		same := tracked && f.Data != nil && blobID(f.Data, e.id) == e.id
		d, wrong := differently(f, attributes[f.Target], autocrlf, tracked && !same)
		if !wrong && tracked && !same {
			d, wrong = differently(f, committed[f.Target], autocrlf, true)
		}
		switch {
		case wrong:
			found.Add(d)
		case tracked && !same && f.Data != nil:
			differ = append(differ, f)
		}
	}
	for name, e := range index {
		if e.skipped && isCUE(name) && !hidden(name) && !read[name] {
			found.Add(notAsCommitted(name, "is committed and left out of this work tree (sparse checkout)",
				"git sparse-checkout disable"))
		}
	}
	unnoticed, err := r.unnoticed(ctx, differ)
	if err != nil {
		return nil, err
	}
	found.Add(unnoticed...)
	found.Sort()
	return found, nil
}

// unnoticed returns findings for files that differ from the index although Git reports them as unmodified: they were
// converted by attributes of another commit, or they are hidden from Git (assume-unchanged, skip-worktree). None of
// the files may have a filter that git diff-files could run.
func (r *Repository) unnoticed(ctx context.Context, differ []File) (diag.List, error) {
	if len(differ) == 0 {
		return nil, nil
	}
	args := []string{"diff-files", "--name-only", "-z", "--"}
	for _, f := range differ {
		args = append(args, path.Join(r.Prefix, f.Target))
	}
	listed, err := r.git(ctx, "", nil, args...)
	if err != nil {
		return nil, err
	}
	modified := strings.Split(listed, "\x00")
	var found diag.List
	for _, f := range differ {
		if !slices.Contains(modified, path.Join(r.Prefix, f.Target)) {
			found.Add(notAsCommitted(f.Target,
				"is not what Git has committed, though Git reports it as unmodified (an attribute of an earlier checkout, assume-unchanged or skip-worktree)",
				"git update-index --no-assume-unchanged --no-skip-worktree "+f.Target+
					", then delete the file and git checkout it"))
		}
	}
	return found, nil
}

// attributes returns the converting attributes of files, by their targets. They come from the .gitattributes of the
// work tree, or, if cached is set, from those in an index; an empty index name means that of the repository.
func (r *Repository) attributes(ctx context.Context, index string, cached bool,
	files []File,
) (map[string]map[string]string, error) {
	out := map[string]map[string]string{}
	if len(files) == 0 {
		return out, nil
	}
	var paths strings.Builder
	for _, f := range files {
		paths.WriteString(path.Join(r.Prefix, f.Target) + "\x00")
	}
	args := []string{"check-attr", "-z", "--stdin"}
	if cached {
		args = append(args, "--cached")
	}
	printed, err := r.git(ctx, index, strings.NewReader(paths.String()), append(args, converting...)...)
	if err != nil {
		return nil, err
	}
	fields := strings.Split(printed, "\x00") // PATH ATTRIBUTE VALUE
	for i := 0; i+2 < len(fields); i += 3 {
		name, _ := r.relative(fields[i])
		if out[name] == nil {
			out[name] = map[string]string{}
		}
		out[name][fields[i+1]] = fields[i+2]
	}
	for _, f := range files {
		if len(out[f.Target]) != len(converting) {
			return nil, fmt.Errorf("git does not print the attributes of %s", f.Target)
		}
	}
	return out, nil
}

// submodules returns findings for submodules where the mesh could have files, because a commit does not contain their
// files.
func submodules(entries func(func(entry) bool)) (found diag.List) {
	for e := range entries {
		if e.mode == modeSubmodule && !hidden(e.path) {
			found.Add(notAsCommitted(e.path, "is a submodule, whose files are in no commit of this repository",
				"copy the files that the mesh needs, or keep the submodule outside the module or in a directory whose name begins with _"))
		}
	}
	return found
}

// hidden reports whether CUE ignores a path.
func hidden(name string) bool {
	return slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool {
		return strings.HasPrefix(part, ".") || strings.HasPrefix(part, "_")
	})
}
