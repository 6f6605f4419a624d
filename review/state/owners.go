package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/hmarr/codeowners"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/review/revision"
)

// codeOwners are where forges look for the file, the first that is there.
var codeOwners = []string{".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"}

// maxCodeOwners bounds the file: forges read no longer one.
const maxCodeOwners = 3 << 20

// Owners say whose files of a module are.
type Owners struct {
	// Before says whose a file is before a change: by mesh.owners, and where that says nothing by CODEOWNERS of the
	// repository. It is nil when neither says anything.
	Before func(file string) []string
	// After says the same with CODEOWNERS as it is after the change.
	After func(file string) []string
}

// OwnersOf are the owners by which a change is judged, and those by which the next one will be.
func OwnersOf(ctx context.Context, before, after *State) (Owners, error) {
	top, prefix := after.Root, ""
	repository, err := revision.Find(after.Root)
	switch {
	case err == nil:
		top, prefix = repository.Top, repository.Prefix
	case !errors.Is(err, revision.ErrNone):
		return Owners{}, err
	}
	read := func(name string) ([]byte, bool) { return readRegular(filepath.Join(top, filepath.FromSlash(name))) }
	is, broken := rulesIn(read)
	if broken != nil {
		is = nil // forges take such a file for none
	}
	if before.revision != nil {
		read = func(name string) ([]byte, bool) { return before.revision.Read(ctx, name) }
	}
	was, err := rulesIn(read)
	if err != nil {
		return Owners{}, err
	}
	return Owners{ownersBy(before.Mesh, was, prefix), ownersBy(before.Mesh, is, prefix)}, nil
}

// rulesIn are those of the CODEOWNERS that is read; none when there is no such file.
func rulesIn(read func(name string) ([]byte, bool)) (codeowners.Ruleset, error) {
	for _, name := range codeOwners {
		data, there := read(name)
		if !there {
			continue
		}
		rules, err := codeowners.ParseFile(bytes.NewReader(data))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return rules, nil
	}
	return nil, nil
}

// readRegular reads a file that is not a link, a device or a directory.
func readRegular(name string) ([]byte, bool) {
	if info, err := os.Lstat(name); err != nil || !info.Mode().IsRegular() {
		return nil, false
	}
	f, err := os.Open(name) // #nosec G304 -- one of codeOwners, in the repository
	if err != nil {
		return nil, false
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxCodeOwners))
	return data, err == nil
}

func ownersBy(m *ir.Mesh, rules codeowners.Ruleset, prefix string) func(file string) []string {
	if len(m.Owners) == 0 && len(rules) == 0 {
		return nil
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
	}
}
