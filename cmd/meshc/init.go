package main

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/importer"
	"github.com/meshc/meshc/importer/kubernetes"
)

// skeleton is the mesh repository that init lays out.
//
//go:embed skeleton
var skeleton embed.FS

// appsSkeleton is what stands beside the mesh in a repository that is applied by kubectl.
//
//go:embed skeleton_apps
var appsSkeleton embed.FS

// fluxSkeleton is what stands around the mesh in a repository that Flux reads.
//
//go:embed skeleton_flux
var fluxSkeleton embed.FS

// fluxURL is a Git repository that Flux can read.
var fluxURL = regexp.MustCompile(`^(https|http|ssh)://[^"\\\x00- \x7f]+$`)

// initOptions are the flags of meshc init.
type initOptions struct {
	module, mesh, flux string
	// namespace is that of a cluster whose workloads make the mesh, with these calls between them.
	namespace string
	calls     []string
	target    targetFlags
	// upgrade replaces the schema of a repository, and does nothing else.
	upgrade bool
}

func newInitCmd() *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use:   "init DIR",
		Short: "Lay out a small mesh repository to begin with",
		Long: `Init makes a directory with a small mesh that compiles as it is: two services, a gateway, and house rules. The schema
comes with it under cue.mod, so that editors and cue vet know the language too. In apps/ your own workloads are given
their proxies: the Deployments that the mesh names. A directory that is not empty is left alone, but for a new repository
of Git, with a README.md and a LICENSE at most.

With --from-cluster the services are those of a namespace that has no mesh yet, as meshc import kubernetes reads them:
each takes callers without a proxy as before. What cannot be carried over is listed.

With --flux the repository is laid out as users of Flux expect: the mesh in mesh/, what it compiles to in out/, and
clusters/, infrastructure/ and apps/.

With --upgrade the copy of the schema in the mesh of the directory, or of the working directory, becomes that of this
meshc, for editors and cue vet. Nothing else is written: meshc itself has its own.`,
		Example: `  meshc init shop
  meshc init shop --from-cluster shop --calls frontend=cart,checkout
  meshc init shop --flux ssh://git@git.example/shop.git
  meshc init shop --mesh shop --module shop.example/mesh
  meshc init --upgrade`,
		Args: func(cmd *cobra.Command, args []string) error {
			if o.upgrade {
				return cobra.MaximumNArgs(1)(cmd, args)
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		RunE: o.run,
	}
	cmd.Flags().StringVar(&o.module, "module", "", "path of the CUE module (default MESH.example/mesh)")
	cmd.Flags().StringVar(&o.flux, "flux", "", "URL of the Git repository from which Flux will roll it out")
	cmd.Flags().StringVar(&o.mesh, "mesh", "", "name of the mesh (default the directory's)")
	cmd.Flags().StringVar(&o.namespace, "from-cluster", "", "namespace of a cluster whose workloads make the mesh")
	cmd.Flags().StringArrayVar(&o.calls, "calls", nil, "whom a service of the cluster calls: CALLER=CALLEE,CALLEE")
	cmd.Flags().BoolVar(&o.upgrade, "upgrade", false, "replace the schema of a mesh repository by that of this meshc")
	o.target.addCluster(cmd.Flags())
	return cmd
}

// run lays out the repository, and says how to go on.
func (o *initOptions) run(cmd *cobra.Command, args []string) error {
	if o.upgrade {
		return upgradeSchema(cmd, strings.Join(args, ""))
	}
	dir := args[0]
	if err := o.check(cmd, dir); err != nil {
		return err
	}
	if o.namespace != "" {
		return o.fromCluster(cmd, dir)
	}
	files, err := repository(o.module, o.mesh, o.flux)
	if err != nil {
		return err
	}
	if err := layOutNew(dir, files); err != nil {
		return err
	}
	inside, out, apply := dir, "out",
		"  kubectl apply -k out\n  kubectl apply -k apps    # when apps/kustomization.yaml lists your Deployments\n"
	if o.flux != "" {
		inside, out, apply = filepath.Join(dir, "mesh"), "../out", ""
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(),
		"%s is a mesh. Try:\n  cd %s\n  meshc vet\n  meshc compile -o %s\n%s", dir, inside, out, apply)
	return err
}

// check sets the defaults, and refuses flags that have no meaning.
func (o *initOptions) check(cmd *cobra.Command, dir string) error {
	o.mesh = cmp.Or(o.mesh, nameOf(dir))
	if !goodName.MatchString(o.mesh) {
		return usage(fmt.Errorf(
			"%q is not a valid name for a mesh: lower case letters, digits and dashes, beginning with a letter; give one with --mesh", o.mesh))
	}
	o.module = cmp.Or(o.module, o.mesh+".example/mesh")
	if !goodModule.MatchString(o.module) {
		return usage(fmt.Errorf("%q is not a valid module path, which is like shop.example/mesh", o.module))
	}
	if o.flux != "" && !fluxURL.MatchString(o.flux) {
		return usage(fmt.Errorf("%q is not a valid URL of a Git repository: https://… or ssh://…", o.flux))
	}
	given := cmd.Flags().Changed
	switch {
	case given("from-cluster") && o.namespace == "":
		return usage(errors.New("--from-cluster needs the name of a namespace"))
	case o.namespace != "" && o.flux != "":
		return usage(errors.New("--from-cluster and --flux cannot be used together"))
	case o.namespace == "" && (given("calls") || given("kubeconfig") || given("context")):
		return usage(errors.New("--calls, --kubeconfig and --context need --from-cluster NAMESPACE"))
	}
	return nil
}

// fromCluster lays out a repository with the services of a namespace.
func (o *initOptions) fromCluster(cmd *cobra.Command, dir string) error {
	i := importOptions{
		Options: importer.Options{Name: o.mesh, TrustDomain: "cluster.local"},
		calls:   o.calls, cluster: true, target: o.target, groups: workloadGroups, output: dir, namespace: "default",
		format: "text", read: kubernetes.Import, only: o.namespace, module: o.module,
	}
	if err := i.run(cmd, nil); err != nil {
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is a mesh of the namespace %s. Try:\n  cd %s\n  meshc vet\n", dir,
		o.namespace, dir)
	return err
}

var (
	goodName   = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,54}[a-z0-9])?$`)
	goodModule = regexp.MustCompile(
		`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+(/[a-z0-9]([-._a-z0-9]*[a-z0-9])?)*$`)
)

// nameOf makes a name of a directory's, as far as its characters go.
func nameOf(dir string) string {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	return strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).
		ReplaceAllString(strings.ToLower(filepath.Base(absolute)), "-"), "-")
}

// repository is the files of a new repository, by path.
func repository(module, mesh, flux string) (map[string][]byte, error) {
	files, err := moduleFiles(module)
	if err != nil {
		return nil, err
	}
	// The package's name is an identifier.
	fill := strings.NewReplacer("PACKAGE", strings.ReplaceAll(mesh, "-", "_"), "MESH", mesh, "URL", flux)
	if err := filled(files, skeleton, "skeleton", fill); err != nil {
		return nil, err
	}
	if flux == "" {
		return files, filled(files, appsSkeleton, "skeleton_apps", fill)
	}
	around := map[string][]byte{}
	for name, data := range files {
		around["mesh/"+name] = data
	}
	return around, filled(around, fluxSkeleton, "skeleton_flux", fill)
}

// filled adds the files of a skeleton, filled in.
func filled(files map[string][]byte, from embed.FS, root string, fill *strings.Replacer) error {
	return fs.WalkDir(from, root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(from, name)
		files[strings.TrimPrefix(name, root+"/")] = []byte(fill.Replace(string(data)))
		return err
	})
}

// newRepository reports whether a directory has no more than a forge puts into a new repository of Git. Init writes
// none of these.
func newRepository(entries []fs.DirEntry) bool {
	return !slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return !slices.Contains([]string{".git", ".gitignore", ".gitattributes", "README.md", "LICENSE"}, e.Name())
	})
}

// layOutNew writes the files into a directory that is new or empty, or a new repository of Git, whole or not
// at all.
func layOutNew(dir string, files map[string][]byte) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("%s cannot be used: %w", dir, errors.Unwrap(err))
	case !newRepository(entries):
		return usage(fmt.Errorf("%s is not empty, and init overwrites nothing", dir))
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	next, err := os.MkdirTemp(parent, ".meshc-init-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(next)
	if err := os.Chmod(next, 0o755); err != nil { // #nosec G302 -- a directory, of a repository
		return err
	}
	for name, data := range files {
		at := filepath.Join(next, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(at, data, 0o644); err != nil {
			return err
		}
	}
	if filepath.Clean(dir) == "." || len(entries) > 0 { // what is there, or where the user stands, cannot be renamed over
		return os.CopyFS(dir, os.DirFS(next))
	}
	return os.Rename(next, dir) // takes the place of an empty directory
}
