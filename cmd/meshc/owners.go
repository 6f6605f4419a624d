package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/hmarr/codeowners"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/revision"
)

// codeOwners are where forges look for the file, the first that is there.
var codeOwners = []string{".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"}

// ownersOf says whose a file of the module is: by mesh.owners, and where that says nothing by CODEOWNERS of the
// repository. It is nil when neither says anything.
func ownersOf(ctx context.Context, root string, m *ir.Mesh) (func(file string) []string, error) {
	var rules codeowners.Ruleset
	top, prefix, err := revision.Top(ctx, root)
	if err != nil {
		top, prefix = root, "" // in no repository of Git
	}
	for _, name := range codeOwners {
		f, err := os.Open(filepath.Join(top, filepath.FromSlash(name)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		rules, err = codeowners.ParseFile(f)
		_ = f.Close() // it was read
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		break
	}
	if len(m.Owners) == 0 && len(rules) == 0 {
		return nil, nil
	}
	return func(file string) []string {
		longest := -1
		var owners []string
		for _, o := range m.Owners {
			if (file == o.Path || strings.HasPrefix(file, o.Path+"/")) && len(o.Path) > longest {
				longest, owners = len(o.Path), o.Owners
			}
		}
		if longest >= 0 {
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
