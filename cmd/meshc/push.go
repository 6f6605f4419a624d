package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/render/oci"
	"github.com/meshc/meshc/review/revision"
)

func newPushCmd() *cobra.Command {
	var a oci.Artifact
	var created, keyFile string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "push oci://REGISTRY/REPOSITORY:TAG [DIR]",
		Short: "Push a compiled mesh to an OCI registry, for Flux",
		Long: `Push puts the output directory of meshc compile (out, unless another is named) into a registry, as the artifact that
an OCIRepository of Flux reads (mesh.flux.url: "oci://…"), and prints its reference by digest. Where the directory is in a
Git repository, the artifact's revision, source and time are those of the commit, so that one commit makes one digest
everywhere; changes that are not committed are an error then.

With --sign-key it is signed as cosign does, for spec.verify of the OCIRepository (mesh.flux.verify). Credentials are those
of docker login.`,
		Example: `  meshc compile ./... -o out && meshc push oci://registry.example/shop:prod
  meshc push oci://registry.example/shop:v1 out --sign-key signing.pem`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			reference, ok := strings.CutPrefix(args[0], "oci://")
			if !ok {
				return usage(fmt.Errorf("%q is not oci://REGISTRY/REPOSITORY:TAG", args[0]))
			}
			if a.Dir = "out"; len(args) == 2 {
				a.Dir = args[1]
			}
			if err := fromGit(cmd, &a, created); err != nil {
				return err
			}
			var key crypto.Signer
			if keyFile != "" {
				data, err := os.ReadFile(keyFile)
				if err != nil {
					return err
				}
				if key, err = oci.ParseKey(data); err != nil {
					return fmt.Errorf("%s: %w", keyFile, err)
				}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			cmd.SetContext(ctx)
			return push(cmd, reference, a, key)
		},
	}
	cmd.Flags().StringVar(&a.Source, "source", "", "URL of the repository (default: that of the Git remote origin)")
	cmd.Flags().StringVar(&a.Revision, "revision", "", "its revision, BRANCH@sha1:COMMIT (default: that of Git)")
	cmd.Flags().StringVar(&created, "created", "",
		"time of the revision, as in 2006-01-02T15:04:05Z (default: that of the commit)")
	cmd.Flags().DurationVar(&timeout, "timeout", 2*time.Minute, "how long it may take")
	cmd.Flags().StringVar(&keyFile, "sign-key", "", "file with a private key that signs the artifact, ECDSA in PEM")
	return cmd
}

// push pushes the artifact, signs it where there is a key, and prints its reference.
func push(cmd *cobra.Command, reference string, a oci.Artifact, key crypto.Signer) error {
	pushed, err := oci.Push(cmd.Context(), reference, a)
	if err != nil {
		return err
	}
	if key != nil {
		if err := oci.Sign(cmd.Context(), pushed, key); err != nil {
			return err
		}
	}
	fmt.Fprintln(cmd.OutOrStdout(), "oci://"+pushed)
	return nil
}

// fromGit completes what is said of where an artifact came from.
func fromGit(cmd *cobra.Command, a *oci.Artifact, created string) error {
	if created != "" {
		at, err := time.Parse(time.RFC3339, created)
		if err != nil {
			return usage(fmt.Errorf("--created is %q and must be a time as in 2006-01-02T15:04:05Z", created))
		}
		a.Created = at
	}
	if a.Source != "" && a.Revision != "" && created != "" {
		return nil
	}
	if _, err := os.Stat(a.Dir); err != nil {
		return err
	}
	repository, err := revision.Find(a.Dir)
	if err != nil && !errors.Is(err, revision.ErrNone) {
		return err
	}
	commit := ""
	git := func(args ...string) (string, error) { return repository.Git(cmd.Context(), args...) }
	if err == nil {
		commit, err = git("rev-parse", "HEAD")
	}
	if err != nil {
		return fmt.Errorf("%s is not in a Git repository that has a commit\n  hint: say where it comes from: --source, --revision and --created", a.Dir)
	}
	if a.Revision == "" {
		if changes, err := git("status", "--porcelain"); err != nil || changes != "" {
			return errors.Join(err,
				errors.New("the work tree has changes that are not committed\n  hint: commit them, or name the revision: --revision"))
		}
		branch, err := git("symbolic-ref", "--quiet", "--short", "HEAD")
		if err != nil {
			branch = "HEAD" // no branch is checked out, as CI does
		}
		a.Revision = branch + "@sha1:" + commit
	}
	if created == "" {
		at, err := git("log", "-1", "--format=%cI")
		if err != nil {
			return err
		}
		if a.Created, err = time.Parse(time.RFC3339, at); err != nil {
			return err
		}
	}
	if a.Source == "" {
		remote, err := git("remote", "get-url", "origin")
		if err != nil {
			remote = ""
		}
		a.Source = withoutCredentials(remote)
	}
	return nil
}

// scpLike is how Git writes an address for SSH besides URLs: USER@HOST:PATH.
var scpLike = regexp.MustCompile(`^[\w.-]+@[\w.-]+:[^:@?]+$`)

// withoutCredentials is a remote without passwords, tokens and what might be one; empty
// for what cannot be told.
func withoutCredentials(remote string) string {
	if scpLike.MatchString(remote) {
		return remote
	}
	u, err := url.Parse(remote)
	if err != nil || u.Host == "" {
		return ""
	}
	if user := u.User; user != nil {
		if u.User = nil; u.Scheme == "ssh" {
			u.User = url.User(user.Username())
		}
	}
	u.RawQuery, u.Fragment = "", ""
	return u.String()
}
