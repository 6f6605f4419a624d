package revision

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/meshc/meshc/compiler/program"
)

// settings hold whatever a repository's or a user's configuration says. The commands that meshc uses are plumbing that
// runs no filter, no text conversion and no external diff; these are for what any command could run. The configuration
// of the machine, the user and the repository counts otherwise (core.autocrlf, core.attributesFile): no change of a
// mesh can write it, because Git takes nothing called .git into a tree.
var settings = []string{
	"safe.bareRepository=explicit",
	"core.hooksPath=" + os.DevNull,
	"core.fsmonitor=false",
	"core.untrackedCache=false",
	"core.quotePath=false",
	"core.commentChar=#",
	"core.alternateRefsCommand=",
	"core.sshCommand=false",
	"credential.helper=",
	"diff.external=",
	"protocol.allow=never",
}

// environment is the caller's without Git's own variables: GIT_DIR, GIT_INDEX_FILE and others that a hook has are
// about another repository, and GIT_CONFIG_COUNT or GIT_EXTERNAL_DIFF would undo settings. No object is replaced by
// another one, and one that is missing is not fetched: a promisor remote is whatever a repository says.
func environment(index string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GIT_") && !strings.HasPrefix(v, "LC_ALL=") {
			env = append(env, v)
		}
	}
	env = append(env, "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "GIT_NO_REPLACE_OBJECTS=1",
		"GIT_GRAFT_FILE="+os.DevNull,
		"GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=none")
	if index != "" {
		env = append(env, "GIT_INDEX_FILE="+index)
	}
	return env
}

// Git runs a Git command in the repository and returns its standard output. Only this method runs Git on the
// repository of a mesh. It names the repository that [Find] found, so that Git neither searches for one nor checks
// its owner (safe.directory), and it lets no program run that a configuration names.
func (r *Repository) Git(ctx context.Context, args ...string) (string, error) {
	out, err := r.git(ctx, "", nil, args...)
	return strings.TrimSuffix(out, "\n"), err
}

// git is as [Repository.Git], with an index other than the repository's own unless it is empty.
func (r *Repository) git(ctx context.Context, index string, stdin io.Reader, args ...string) (string, error) {
	name, err := program.Find("git", r.Top)
	if err != nil {
		return "", err
	}
	fixed := []string{
		"--no-pager", "--literal-pathspecs", "--git-dir=" + filepath.Join(r.Top, dotGit),
		"--work-tree=" + r.Top,
	}
	for _, s := range settings {
		fixed = append(fixed, "-c", s)
	}
	cmd := exec.CommandContext(ctx, name, append(fixed, args...)...) // #nosec G204 -- arguments, and no shell
	cmd.Dir, cmd.Env, cmd.Stdin = r.Top, environment(index), stdin
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		if text := strings.TrimPrefix(strings.TrimSpace(stderr.String()), "fatal: "); text != "" {
			return "", errors.New(text)
		}
		return "", err
	}
	return out.String(), nil
}
