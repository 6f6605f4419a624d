// Package revision reads a mesh repository as it was at a revision of Git, without touching the work tree.
package revision

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Revision is a directory of a repository at one of its revisions.
type Revision struct {
	// Name is as it was asked for, and Tree the object that the directory is there.
	Name, Tree string
	dir        string
}

// Open finds a directory of a repository at a revision.
func Open(ctx context.Context, dir, name string) (*Revision, error) {
	prefix, err := git(ctx, dir, nil, "rev-parse", "--show-prefix")
	if err != nil {
		return nil, fmt.Errorf("%s is in no repository of Git: %w", dir, err)
	}
	tree, err := git(ctx, dir, nil, "rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{tree}")
	if err != nil {
		return nil, fmt.Errorf("the repository has no revision %q", name)
	}
	top := strings.TrimSuffix(strings.TrimSuffix(prefix, "\n"), "/")
	if top != "" {
		if tree, err = git(ctx, dir, nil, "rev-parse", "--verify", "--quiet", "--end-of-options", strings.TrimSpace(tree)+":"+top); err != nil {
			return nil, fmt.Errorf("revision %s has no directory %s", name, top)
		}
	}
	return &Revision{Name: name, Tree: strings.TrimSpace(tree), dir: dir}, nil
}

// blob is a file of a revision.
type blob struct{ id, path string }

// Write writes the revision's files below a directory. Links and other repositories in it are left out.
func (r *Revision) Write(ctx context.Context, dir string) error {
	listed, err := git(ctx, r.dir, nil, "ls-tree", "-r", "-z", "--full-tree", r.Tree)
	if err != nil {
		return fmt.Errorf("read revision %s: %w", r.Name, err)
	}
	var blobs []blob
	var ids strings.Builder
	for line := range strings.SplitSeq(listed, "\x00") { // MODE TYPE ID<TAB>PATH
		meta, path, ok := strings.Cut(line, "\t")
		words := strings.Fields(meta)
		if !ok || len(words) != 3 || words[1] != "blob" || words[0] == "120000" || !filepath.IsLocal(path) {
			continue
		}
		blobs = append(blobs, blob{words[2], path})
		ids.WriteString(words[2] + "\n")
	}
	content, err := git(ctx, r.dir, strings.NewReader(ids.String()), "cat-file", "--batch")
	if err != nil {
		return fmt.Errorf("read revision %s: %w", r.Name, err)
	}
	return write(dir, blobs, bufio.NewReader(strings.NewReader(content)))
}

// write takes the blobs out of what git cat-file --batch prints: "ID blob SIZE", the bytes, and a line's end.
func write(dir string, blobs []blob, content *bufio.Reader) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, b := range blobs {
		head, err := content.ReadString('\n')
		if err != nil {
			return err
		}
		words := strings.Fields(head)
		if len(words) != 3 || words[0] != b.id {
			return fmt.Errorf("git has no object %s", b.id)
		}
		size, err := strconv.Atoi(words[2])
		if err != nil {
			return err
		}
		data := make([]byte, size+1)
		if _, err := io.ReadFull(content, data); err != nil {
			return err
		}
		if err := root.MkdirAll(filepath.Dir(filepath.FromSlash(b.path)), 0o700); err != nil {
			return err
		}
		if err := root.WriteFile(filepath.FromSlash(b.path), data[:size], 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Changed are the files of the directory that are not in the work tree as they are in the revision, sorted as Git has them.
func (r *Revision) Changed(ctx context.Context) ([]string, error) {
	tracked, err := git(ctx, r.dir, nil, "diff", "--no-ext-diff", "--no-renames", "--name-only", "-z", "--relative", "--end-of-options", r.Name, "--", ".")
	if err != nil {
		return nil, fmt.Errorf("compare with revision %s: %w", r.Name, err)
	}
	untracked, err := git(ctx, r.dir, nil, "ls-files", "--others", "--exclude-standard", "-z", "--", ".")
	if err != nil {
		return nil, fmt.Errorf("compare with revision %s: %w", r.Name, err)
	}
	var files []string
	for name := range strings.SplitSeq(tracked+untracked, "\x00") {
		if name != "" {
			files = append(files, name)
		}
	}
	return files, nil
}

// Read is a file of the repository at the revision, by its path from the repository's root; false when there is none.
func (r *Revision) Read(ctx context.Context, path string) ([]byte, bool) {
	data, err := git(ctx, r.dir, nil, "cat-file", "blob", r.Name+":"+path)
	return []byte(data), err == nil
}

// Top is the root of the repository that a directory stands in, and the path from there to the directory, "" for itself.
func Top(ctx context.Context, dir string) (top, prefix string, err error) {
	if top, err = git(ctx, dir, nil, "rev-parse", "--show-toplevel"); err != nil {
		return "", "", err
	}
	prefix, err = git(ctx, dir, nil, "rev-parse", "--show-prefix")
	return strings.TrimSuffix(top, "\n"), strings.TrimSuffix(strings.TrimSuffix(prefix, "\n"), "/"), err
}

// git runs Git, with nothing of the user's configuration that would change what it prints or run something else.
func git(ctx context.Context, dir string, stdin io.Reader, args ...string) (string, error) {
	fixed := []string{"-C", dir, "-c", "core.quotePath=false", "-c", "core.fsmonitor=false", "-c", "diff.external="}
	cmd := exec.CommandContext(ctx, "git", append(fixed, args...)...) // #nosec G204 -- arguments, and no shell
	for _, v := range os.Environ() {                                  // a hook's GIT_DIR, say, is about another directory
		if !strings.HasPrefix(v, "GIT_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "GIT_OPTIONAL_LOCKS=0", "LC_ALL=C")
	cmd.Stdin = stdin
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("there is no git on this machine")
	}
	if err != nil {
		return "", errors.New(strings.TrimPrefix(strings.TrimSpace(stderr.String()), "fatal: "))
	}
	return out.String(), nil
}
