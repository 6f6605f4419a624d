package revision

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	// suffixes are the ways from a commit to another one that are followed: ~3, ^2, @{1}, @{upstream}.
	suffixes = regexp.MustCompile(`^(~[0-9]*|\^[0-9]*|\^\{commit\}|@\{[A-Za-z0-9:. -]*\})*$`)
	objectID = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)
	// pseudo are the names that Git keeps beside refs: HEAD, FETCH_HEAD, MERGE_HEAD.
	pseudo = regexp.MustCompile(`^[A-Z_]*HEAD$`)
)

// Commit returns the ID of the commit that a revision names. If more than one ref has the name, it returns an error
// that lists them. (Git would choose the tag, but whoever may push tags must not decide what the name of a branch
// means.)
func (r *Repository) Commit(ctx context.Context, name string) (string, error) {
	if name == "@" {
		name = "HEAD"
	}
	base, suffix := name, ""
	if i := strings.IndexAny(name, "~^"); i >= 0 {
		base, suffix = name[:i], name[i:]
	}
	if i := strings.Index(base, "@{"); i >= 0 {
		base, suffix = name[:i], name[i:]
		if base == "" {
			base = "HEAD"
		}
	}
	none := fmt.Errorf("the repository has no revision %q", name)
	if base == "" || strings.HasPrefix(base, "-") || strings.ContainsAny(base, ":*?[\\\x00\n ") ||
		strings.Contains(base, "..") || !suffixes.MatchString(suffix) {
		return "", none
	}
	full := base
	if !objectID.MatchString(base) {
		refs, err := r.refs(ctx, base)
		if err != nil {
			return "", err
		}
		if len(refs) > 1 {
			return "", fmt.Errorf("%q is ambiguous: it is %s\n  hint: name one of them in full", base,
				strings.Join(refs, " and "))
		}
		if len(refs) == 1 {
			full = refs[0]
		} // else an id that is cut short, which Git looks up
	}
	id, err := r.Git(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", full+suffix+"^{commit}")
	if err != nil {
		return "", none
	}
	return id, nil
}

// refs are the full names of all that a name could mean (gitrevisions, "refname").
func (r *Repository) refs(ctx context.Context, name string) ([]string, error) {
	could := []string{
		"refs/" + name, "refs/heads/" + name, "refs/remotes/" + name, "refs/tags/" + name,
		"refs/remotes/" + name + "/HEAD",
	}
	if strings.HasPrefix(name, "refs/") {
		could = append(could, name)
	}
	listed, err := r.Git(ctx, append([]string{"for-each-ref", "--format=%(refname)", "--"}, could...)...)
	if err != nil {
		return nil, err
	}
	var refs []string
	if pseudo.MatchString(name) {
		refs = append(refs, name)
	}
	for ref := range strings.Lines(listed) {
		if ref = strings.TrimSpace(ref); slices.Contains(could, ref) {
			refs = append(refs, ref)
		}
	}
	return refs, nil
}

// errNoBase is for histories without a commit that both come from.
var errNoBase = errors.New("the two histories have no commit in common")

// MergeBase returns the merge base of two commits, as in git diff A...B.
func (r *Repository) MergeBase(ctx context.Context, a, b string) (string, error) {
	// What a commit says of its parents is there in a shallow clone too, whose history ends with it.
	head, err := r.Git(ctx, "cat-file", "commit", b)
	if err != nil {
		return "", err
	}
	head, _, _ = strings.Cut(head, "\n\n")
	if a == b || slices.Contains(strings.Split(head, "\n"), "parent "+a) {
		return a, nil
	}
	listed, err := r.Git(ctx, "merge-base", "--all", a, b)
	bases := strings.Fields(listed)
	if err == nil && len(bases) == 1 {
		return bases[0], nil
	}
	if len(bases) > 1 {
		return "", fmt.Errorf(
			"the histories have several merge bases: %s\n  hint: name one of them, or compare with the revision itself: --from-tip", strings.Join(bases, " and "))
	}
	if shallow, _ := r.Git(ctx, "rev-parse", "--is-shallow-repository"); shallow == "true" {
		return "", fmt.Errorf(
			"%w: the clone is shallow\n  hint: git fetch --unshallow (fetch-depth: 0 of actions/checkout, GIT_DEPTH: \"0\" of GitLab), or compare with the revision itself: --from-tip", errNoBase)
	}
	return "", fmt.Errorf("%w\n  hint: compare with the revision itself: --from-tip", errNoBase)
}
