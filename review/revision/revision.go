// Package revision reads a mesh repository as it was at a Git revision, without changing the work tree, and finds
// files whose content in the work tree differs from what a commit would contain.
package revision

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Revision is the directory of a repository in one commit.
type Revision struct {
	// Name is the name that the user gave. Commit and Tree are the IDs of the commit and of the directory in it.
	Name, Commit, Tree string
	// Above are the IDs of the .gitattributes files in the directories above, which apply to the directory too; empty
	// if there are none.
	Above      string
	repository *Repository
}

// Open resolves the name of a revision. It returns the merge base of that revision and HEAD, or the revision itself
// if tip is true.
func (r *Repository) Open(ctx context.Context, name string, tip bool) (*Revision, error) {
	commit, err := r.Commit(ctx, name)
	if err != nil {
		return nil, err
	}
	if !tip {
		head, err := r.Commit(ctx, "HEAD")
		if err != nil {
			return nil, err
		}
		if commit, err = r.MergeBase(ctx, commit, head); err != nil {
			return nil, fmt.Errorf("%s and HEAD: %w", name, err)
		}
	}
	tree, err := r.Git(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", commit+":"+r.Prefix)
	if err != nil {
		return nil, fmt.Errorf("revision %s has no directory %s", name, r.Prefix)
	}
	above, err := r.above(ctx, commit)
	if err != nil {
		return nil, err
	}
	return &Revision{Name: name, Commit: commit, Tree: tree, Above: above, repository: r}, nil
}

// above are the ids of a commit's .gitattributes in the directories above the repository's own.
func (r *Repository) above(ctx context.Context, commit string) (string, error) {
	dir := path.Clean(r.Prefix)
	if dir == "." {
		return "", nil
	}
	args := []string{"ls-tree", "-z", "--full-tree", commit, "--"}
	for dir != "." {
		dir = path.Dir(dir)
		args = append(args, path.Join(dir, ".gitattributes"))
	}
	return r.git(ctx, "", nil, args...)
}

// The modes of a tree's entries that are not plain files.
const (
	modeLink      = "120000"
	modeSubmodule = "160000"
)

// entry is a file of a tree or of the index.
type entry struct {
	mode, id, path string
	skipped        bool // of the index: not in the work tree, on purpose
}

// entries are the files of the directory.
func (r *Revision) entries(ctx context.Context) ([]entry, error) {
	listed, err := r.repository.git(ctx, "", nil, "ls-tree", "-r", "-z", "--full-tree", r.Tree)
	if err != nil {
		return nil, fmt.Errorf("read revision %s: %w", r.Name, err)
	}
	var out []entry
	for line := range strings.SplitSeq(listed, "\x00") { // MODE TYPE ID<TAB>PATH
		meta, name, ok := strings.Cut(line, "\t")
		words := strings.Fields(meta)
		if !ok || len(words) != 3 {
			continue
		}
		if !filepath.IsLocal(name) {
			return nil, fmt.Errorf("revision %s has a file %q, which leaves the directory", r.Name, name)
		}
		out = append(out, entry{mode: words[0], id: words[2], path: name})
	}
	return out, nil
}

// Write writes the files of the revision that can be part of a mesh into an empty directory: CUE files, symbolic
// links as links (they are followed as in a work tree), the files that links may lead to, and all other directories,
// empty.
func (r *Revision) Write(ctx context.Context, dir string) error {
	entries, err := r.entries(ctx)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	linked := false
	for _, e := range entries {
		linked = linked || e.mode == modeLink && isCUE(e.path)
	}
	var files, links []entry
	for _, e := range entries {
		below := path.Dir(e.path)
		if e.mode == modeSubmodule {
			below = e.path
		}
		if err := root.MkdirAll(filepath.FromSlash(below), 0o700); err != nil {
			return err
		}
		switch {
		case e.mode == modeSubmodule:
		case e.mode == modeLink:
			links = append(links, e)
		case linked || isCUE(e.path):
			files = append(files, e)
		}
	}
	// Links last, so that no file is written through one.
	err = r.blobs(ctx, files, func(e entry, data []byte) error {
		f, err := root.OpenFile(filepath.FromSlash(e.path), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		if _, err := f.Write(data); err != nil {
			f.Close()
			return err
		}
		return f.Close()
	})
	if err != nil {
		return fmt.Errorf("read revision %s: %w", r.Name, err)
	}
	err = r.blobs(ctx, links, func(e entry, data []byte) error {
		return root.Symlink(string(data), filepath.FromSlash(e.path))
	})
	if err != nil {
		return fmt.Errorf("read revision %s: %w", r.Name, err)
	}
	return nil
}

func isCUE(name string) bool { return strings.HasSuffix(name, ".cue") }

// blobs hands out what the entries hold, as git cat-file --batch prints it: "ID blob SIZE", the bytes, and a line's
// end.
func (r *Revision) blobs(ctx context.Context, entries []entry, give func(entry, []byte) error) error {
	if len(entries) == 0 {
		return nil
	}
	var ids strings.Builder
	for _, e := range entries {
		ids.WriteString(e.id + "\n")
	}
	printed, err := r.repository.git(ctx, "", strings.NewReader(ids.String()), "cat-file", "--batch")
	if err != nil {
		return err
	}
	content := bufio.NewReader(strings.NewReader(printed))
	for _, e := range entries {
		head, err := content.ReadString('\n')
		if err != nil {
			return err
		}
		words := strings.Fields(head)
		if len(words) != 3 || words[0] != e.id || words[1] != "blob" {
			return fmt.Errorf(
				"the repository lacks the content of %s, as a partial clone does\n  hint: git fetch --refetch --no-filter", e.path)
		}
		size, err := strconv.Atoi(words[2])
		if err != nil {
			return err
		}
		data := make([]byte, size+1)
		if _, err := io.ReadFull(content, data); err != nil {
			return err
		}
		if err := give(e, data[:size]); err != nil {
			return err
		}
	}
	return nil
}

// Read returns a file of the commit, by its path from the root of the repository; false if there is none.
func (r *Revision) Read(ctx context.Context, path string) ([]byte, bool) {
	data, err := r.repository.git(ctx, "", nil, "cat-file", "blob", r.Commit+":"+path)
	return []byte(data), err == nil
}
