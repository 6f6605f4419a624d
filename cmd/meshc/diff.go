package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/render/cluster"
	"github.com/meshc/meshc/review/diff"
	"github.com/meshc/meshc/review/state"
)

// diffFlags are the flags of meshc diff.
type diffFlags struct {
	specFlags
	target             targetFlags
	from, server       string
	output             output
	cluster, manifests bool
	// fromTip compares with the revision itself, and not with where the work tree's commit parted from it.
	fromTip bool
	failOn  []string
}

// foreignEffects is the gate for what comes to members of other owners without a grant.
const foreignEffects = "foreign-effects"

func newDiffCmd() *cobra.Command {
	var f diffFlags
	cmd := &cobra.Command{
		Use:   "diff --from REVISION | OLD NEW | --server ADDRESS | --cluster [DIR]",
		Short: "Say what a change of the mesh does, each effect with a request that shows it",
		Long: `Diff compares two meshes by what they do: who can newly call whom and who no longer can, which requests go elsewhere,
which timeouts, tries, limits, identities and settings change, to which proxies that is pushed and which stay untouched,
and in what order proxies may take it. Each effect that requests show comes with one whose answer differs, both answers, and the
lines that decided; meshc try shows its way. What only moves or formats files has no effect.

It compares the work tree with the commit in which HEAD has parted from a revision of Git (--from; as git diff REVISION... does, so that
what others have changed there since is not told), two directories or mesh.json (OLD NEW), or what a meshc serve
serves with the spec (--server). With --cluster it compares a cluster with what meshc compile wrote (out, unless another
directory is named): the mesh that is there, and then the objects, by what the API server would make of them.

It exits with 0 when there is no difference, 1 when there is, 2 when it was used wrongly or could not tell. With --fail-on it
exits with 1 for the named kinds of effect alone, and with 2 when it did not look at everything and found none: ` + strings.Join(gates(), ", ") + `.`,
		Example: `  meshc diff --from main
  meshc diff --from origin/main -o markdown --fail-on newly-allowed,foreign-effects
  meshc diff deployed/mesh.json out
  meshc diff --server 127.0.0.1:15011
  meshc compile ./... -o out && meshc diff --cluster --context production`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(args); err != nil {
				return usage(err)
			}
			if f.cluster {
				return f.withCluster(cmd, args)
			}
			if os.Getenv("GOGC") == "" {
				debug.SetGCPercent(gcPercent)
			}
			before, after, err := f.sides(cmd, args)
			if err != nil {
				return err
			}
			d := diff.Of(before.Mesh, after.Mesh)
			if err := f.owned(cmd.Context(), d, before, after); err != nil {
				return err
			}
			if err := f.print(cmd, d, nil); err != nil {
				return err
			}
			if f.manifests {
				if err := printManifests(cmd.OutOrStdout(), before.Mesh, after.Mesh); err != nil {
					return err
				}
			}
			return f.verdict(d)
		},
	}
	f.specFlags.add(cmd.Flags())
	f.bound(cmd, func() bool { return true })
	f.target.add(cmd.Flags())
	cmd.Flags().StringVar(&f.from, "from", "",
		"revision of Git that the work tree is compared with, where HEAD has parted from it")
	cmd.Flags().BoolVar(&f.fromTip, "from-tip", false,
		"with --from: compare with the revision itself, whatever HEAD has to do with it")
	cmd.Flags().StringVar(&f.server, "server", "",
		"admin address of a meshc serve, whose mesh the spec is compared with")
	cmd.Flags().BoolVar(&f.cluster, "cluster", false, "compare a cluster with what meshc compile wrote")
	f.output.add(cmd, "text", "markdown", "json", "yaml")
	cmd.Flags().BoolVar(&f.manifests, "manifests", false, "show the difference of what both compile to as well")
	cmd.Flags().StringSliceVar(&f.failOn, "fail-on", nil, "kinds of effect for which alone it exits with 1")
	return cmd
}

// gates are what --fail-on knows.
func gates() []string {
	var out []string
	for _, k := range diff.Kinds() {
		out = append(out, string(k))
	}
	return append(out, foreignEffects)
}

func (f *diffFlags) check(args []string) error {
	ways := 0
	for _, chosen := range []bool{f.from != "", f.server != "", f.cluster, f.from == "" && f.server == "" &&
		!f.cluster && len(args) > 0} {
		if chosen {
			ways++
		}
	}
	switch {
	case ways != 1:
		return errors.New("give one source to compare with: --from REVISION, OLD NEW, --server ADDRESS or --cluster")
	case f.from == "" && f.server == "" && !f.cluster && len(args) != 2:
		return errors.New("there is nothing to compare with: give OLD and NEW, or --from REVISION")
	case f.fromTip && f.from == "":
		return errors.New("--from-tip needs --from REVISION")
	case len(args) == 2 && (f.from != "" || f.server != "" || f.cluster):
		return errors.New("OLD and NEW are compared with each other: leave the other sources out")
	case f.manifests && (f.cluster || f.output.form != "text"):
		return errors.New("--manifests is for the output text; --cluster shows the objects without it")
	}
	for i, name := range f.failOn {
		if f.failOn[i] = strings.TrimSpace(name); !slices.Contains(gates(), f.failOn[i]) {
			return fmt.Errorf("%q is not a valid kind for --fail-on: %s", name, strings.Join(gates(), ", "))
		}
	}
	return nil
}

// clusterDifference is what a cluster has otherwise.
type clusterDifference struct {
	*diff.Difference
	Objects []cluster.Difference `json:"objects"`
}

func (f *diffFlags) withCluster(cmd *cobra.Command, args []string) error {
	dir, m, c, err := f.target.load(cmd.Context(), args)
	if err != nil {
		return err
	}
	d := &diff.Difference{Effects: []*diff.Effect{}}
	served, err := f.target.mesh(cmd.Context(), m.SystemNamespace())
	if err != nil {
		return err
	}
	if served != nil {
		d = diff.Of(served, m)
	}
	objects, err := c.Diff(cmd.Context(), dir, m)
	if err != nil {
		return err
	}
	if err := f.print(cmd, d, objects); err != nil {
		return err
	}
	if len(objects) > 0 && len(f.failOn) == 0 {
		return errFindings
	}
	return f.verdict(d)
}

func (f *diffFlags) print(cmd *cobra.Command, d *diff.Difference, objects []cluster.Difference) error {
	out := cmd.OutOrStdout()
	switch {
	case f.output.program() && f.cluster:
		if objects == nil {
			objects = []cluster.Difference{}
		}
		return f.output.print(out, clusterDifference{d, objects})
	case f.output.program():
		return f.output.print(out, d)
	case f.output.form == "markdown":
		return d.Markdown(out)
	}
	if err := d.Text(out); err != nil {
		return err
	}
	for i, o := range objects {
		separator := ""
		if i == 0 && !d.Empty() {
			separator = "\n"
		}
		if _, err := fmt.Fprint(out, separator, o); err != nil {
			return err
		}
	}
	return nil
}

// verdict is whether the difference is one that fails.
func (f *diffFlags) verdict(d *diff.Difference) error {
	fails := len(d.Effects) > 0 || !d.Empty() && len(d.Missed) == 0
	if len(f.failOn) > 0 {
		fails = slices.ContainsFunc(d.Effects, func(e *diff.Effect) bool {
			return slices.Contains(f.failOn, string(e.Kind))
		})
		if slices.Contains(f.failOn, foreignEffects) {
			fails = fails || slices.ContainsFunc(d.Foreign, func(o diff.Foreign) bool { return !o.Granted })
		}
	}
	switch {
	case fails:
		return errFindings
	case len(d.Missed) > 0: // what was not looked at may be what must not be
		return errors.New("whether anything else differs cannot be told: " + strings.Join(d.Missed, "; "))
	}
	return nil
}

// owned finds the owners to whom the change comes from elsewhere.
func (f *diffFlags) owned(ctx context.Context, d *diff.Difference, before, after *state.State) error {
	if after.Root == "" {
		return nil // a compiled mesh has no files
	}
	// Whose what is, and who grants what, is as it was: a change cannot give itself the right to be made.
	owners, err := state.OwnersOf(ctx, before, after)
	if err != nil {
		return err
	}
	d.CodeOwners(after.Mesh.Name, state.Files(before, after), owners.Before, owners.After)
	if owners.Before == nil {
		return nil
	}
	changed, err := state.Changed(ctx, before, after)
	if err != nil {
		return err
	}
	d.Owned(before.Mesh, changed, owners.Before)
	return nil
}
