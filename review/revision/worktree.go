package revision

import (
	"context"
	"crypto/sha1" // #nosec G505 -- as Git has it
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// File is a CUE file of a mesh as meshc read it.
type File struct {
	// Path is relative to the directory of the mesh. Target is the file that Path leads to if it is a symbolic link,
	// and otherwise equal to Path.
	Path, Target string
	// Data is the content; nil for a file that cannot be read, of which only the attributes are checked.
	Data []byte
}

// index is what Git has of the work tree, by path from the directory.
func (r *Repository) index(ctx context.Context) (map[string]entry, error) {
	args := []string{"ls-files", "-z", "-s", "-t"}
	if r.Prefix != "" {
		args = append(args, "--", r.Prefix)
	}
	listed, err := r.git(ctx, "", nil, args...)
	if err != nil {
		return nil, fmt.Errorf("read the index: %w", err)
	}
	out := map[string]entry{}
	for line := range strings.SplitSeq(listed, "\x00") { // TAG MODE ID STAGE<TAB>PATH
		meta, full, ok := strings.Cut(line, "\t")
		words := strings.Fields(meta)
		if !ok || len(words) != 4 {
			continue
		}
		if name, in := r.relative(full); in {
			out[name] = entry{mode: words[1], id: words[2], path: name, skipped: words[0] == "S"}
		}
	}
	return out, nil
}

// blobID is the id that Git gives a file's content, in the form of another id.
func blobID(data []byte, like string) string {
	head := fmt.Sprintf("blob %d\x00", len(data))
	if len(like) == hex.EncodedLen(sha256.Size) {
		sum := sha256.Sum256(append([]byte(head), data...))
		return hex.EncodeToString(sum[:])
	}
	sum := sha1.Sum(append([]byte(head), data...)) // #nosec G401 -- as Git has it
	return hex.EncodeToString(sum[:])
}

// Changed returns the files of the directory that differ from the revision, sorted. CUE files are compared byte by
// byte with the content that was read. For other files the index of Git decides; a file counts as deleted if the work
// tree does not have it.
func (r *Revision) Changed(ctx context.Context, read []File) ([]string, error) {
	entries, err := r.entries(ctx)
	if err != nil {
		return nil, err
	}
	index, err := r.repository.index(ctx)
	if err != nil {
		return nil, err
	}
	before, now := map[string]string{}, map[string]string{}
	for _, e := range entries {
		before[e.path] = e.id
	}
	for name, e := range index {
		if _, err := os.Lstat(filepath.Join(r.repository.Top,
			filepath.FromSlash(path.Join(r.repository.Prefix, name)))); err == nil {
			now[name] = e.id
		}
	}
	for _, f := range read {
		if f.Path == f.Target {
			now[f.Path] = blobID(f.Data, r.Commit)
		} else if _, tracked := index[f.Path]; !tracked {
			now[f.Path] = "" // a new link
		}
	}
	all := maps.Clone(before)
	maps.Copy(all, now)
	var changed []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		was, had := before[name]
		is, has := now[name]
		if had != has || was != is {
			changed = append(changed, name)
		}
	}
	return changed, nil
}
