package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/hmarr/codeowners"

	"github.com/meshc/meshc/review/revision"
)

// codeOwners are where forges look for the file, the first that is there.
var codeOwners = []string{".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"}

// OwnersOf says whose a file of the module is before a change: by mesh.owners, and where that says nothing by CODEOWNERS of
// the repository. It is nil when neither says anything.
func OwnersOf(ctx context.Context, before, after *State) (func(file string) []string, error) {
	m := before.Mesh
	var rules codeowners.Ruleset
	top, prefix := after.Root, ""
	repository, err := revision.Find(after.Root)
	switch {
	case err == nil:
		top, prefix = repository.Top, repository.Prefix
	case !errors.Is(err, revision.ErrNone):
		return nil, err
	}
	for _, name := range codeOwners {
		data, there := []byte(nil), false
		if before.revision != nil {
			data, there = before.revision.Read(ctx, name)
		} else {
			data, err = os.ReadFile(filepath.Join(top, filepath.FromSlash(name)))
			there = err == nil
		}
		if !there {
			continue
		}
		if rules, err = codeowners.ParseFile(bytes.NewReader(data)); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		break
	}
	if len(m.Owners) == 0 && len(rules) == 0 {
		return nil, nil
	}
	return func(file string) []string {
		owners, said := m.OwnersOf(file)
		if said {
			return owners
		}
		rule, err := rules.Match(path.Join(prefix, file))
		if err != nil || rule == nil {
			return nil
		}
		for _, o := range rule.Owners {
			owners = append(owners, o.String())
		}
		return owners
	}, nil
}
