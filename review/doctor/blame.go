package doctor

import (
	"context"
	"path"
	"path/filepath"
	"strings"

	"github.com/meshc/meshc/review/revision"
)

// Blame adds to a verdict the last commit that changed the file of its position, and whose file it is. Files are
// relative to the directory of the spec. Without Git there is no commit.
func (r *Report) Blame(ctx context.Context, o *Observations, dir string) {
	file, _, written := cutPosition(r.Verdict.Position)
	if !written {
		return
	}
	if o.Mesh != nil {
		r.Verdict.Owners, _ = o.Mesh.OwnersOf(file)
	}
	repository, err := revision.Find(dir)
	if err != nil || repository == nil {
		return
	}
	full, err := filepath.Abs(dir)
	if err != nil {
		return
	}
	below, err := filepath.Rel(repository.Top, full)
	if err != nil {
		return
	}
	said, err := repository.Git(ctx, "log", "-1", "--format=%h %as %an: %s", "--",
		path.Join(filepath.ToSlash(below), file))
	if err == nil {
		r.Verdict.Commit = strings.TrimSpace(said)
	}
}

// cutPosition takes FILE:LINE apart.
func cutPosition(text string) (file, line string, ok bool) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return "", "", false
	}
	return text[:i], text[i+1:], true
}
