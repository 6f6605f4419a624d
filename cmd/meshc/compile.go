package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/watch"
	"github.com/meshc/meshc/render"
	"github.com/meshc/meshc/render/sink"
)

// compileFlags are the flags of meshc compile.
type compileFlags struct {
	specFlags
	output, registry string
	check, watch     bool
}

// gcPercent lets the heap grow to five times what is live before it is collected.
// A compilation ends soon: at 100, the default, collecting took a sixth of one
// that found everything in the cache.
const gcPercent = 400

func newCompileCmd() *cobra.Command {
	var flags compileFlags
	cmd := &cobra.Command{
		Use:   "compile [packages]",
		Short: "Compile a mesh into manifests, Envoy configuration and certificate requests",
		Long: `Compile checks the whole mesh and writes all it compiles to into a directory, which it owns: files that are no longer
wanted go, a second run changes nothing, and the directory is replaced as a whole or not at all. A directory that holds
files which meshc did not write is refused. With -o - all manifests go to stdout as one stream for kubectl.

With --check nothing is written: it exits with 1 when the directory is not what the mesh compiles to.

Without packages, and with ./..., it is the whole module, from any of its directories. With packages that are a part of it
(./team-a) the whole is checked as well, and the files of the part's members alone are written, compared or streamed: whatever
else is in the directory stays, mesh.json too, so that nothing is removed or pruned. Of a mesh with errors nothing is written.`,
		Example: `  meshc compile -o out
  meshc compile ./team-a -o out --check
  meshc compile ./... -t env=prod -o deploy/prod
  meshc compile -o - | kubectl apply -f -
  meshc compile -o out --registry registry.example/mirror
  meshc compile -o out --check
  meshc compile -o out --watch`,
		RunE: func(cmd *cobra.Command, args []string) error {
			flags.registry = strings.TrimSuffix(flags.registry, "/")
			switch {
			case flags.registry != "" && !goodRegistry.MatchString(flags.registry):
				return usage(fmt.Errorf("--registry is %q and must be REGISTRY or REGISTRY/PATH", flags.registry))
			case flags.output == "":
				return usage(errors.New("compile needs -o DIR, or -o - for stdout"))
			case flags.output == "-" && (flags.check || flags.watch):
				return usage(errors.New("--check and --watch need a directory: -o DIR"))
			case flags.watch && flags.untrusted:
				return usage(errors.New("--watch has no end, and --untrusted gives it one: they exclude each other"))
			case flags.check && flags.watch:
				return usage(errors.New("--check and --watch exclude each other"))
			case flags.watch:
				return flags.follow(cmd, args)
			}
			if os.Getenv("GOGC") == "" {
				debug.SetGCPercent(gcPercent)
			}
			_, err := flags.once(cmd, args)
			return err
		},
	}
	flags.add(cmd.Flags())
	flags.bound(cmd, func() bool { return flags.output == "-" })
	flags.addUndecided(cmd.Flags())
	cmd.Flags().StringVarP(&flags.output, "output", "o", "",
		"directory to write, or - for one stream of manifests on stdout")
	cmd.Flags().StringVar(&flags.registry, "registry", "",
		"registry, with a path or without, that the images of mesh.images are in instead of their own")
	cmd.Flags().BoolVar(&flags.check, "check", false, "write nothing; exit with 1 if the directory is not up to date")
	cmd.Flags().BoolVar(&flags.watch, "watch", false, "compile again whenever a file of the mesh changes")
	return cmd
}

// goodRegistry is a host with a port or without, and a path or none.
var goodRegistry = regexp.MustCompile(
	`^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?(:[0-9]+)?(/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)*$`)

// once compiles and writes. The result is there even when the mesh is wrong.
func (f *compileFlags) once(cmd *cobra.Command, packages []string) (*compiler.Result, error) {
	result, err := f.compile(cmd, packages, f.output == "-")
	if err != nil {
		return result, err
	}
	if result.Mesh == nil {
		return result, withoutMesh(cmd, result)
	}
	if f.registry != "" {
		result.Mesh.MoveImages(f.registry)
	}
	switch {
	case f.output == "-":
		err = render.Stream(exact(cmd.OutOrStdout()), result.Mesh, result.Part)
	case f.check:
		err = f.compare(cmd, result, packages)
	default:
		var changes []sink.Difference
		changes, err = render.Write(f.output, result.Mesh, result.Part, cacheDir())
		if err == nil {
			f.progress(cmd, changes)
		}
	}
	if err == nil && !f.check {
		tellWritten(cmd, f.output, result)
	}
	return result, f.foreign(cmd, result, err)
}

// maxListed is how many differing files are listed.
const maxListed = 200

// compare lists the files that are not as the mesh wants them.
func (f *compileFlags) compare(cmd *cobra.Command, result *compiler.Result, packages []string) error {
	differences, err := render.Check(f.output, result.Mesh, result.Part)
	if err != nil || len(differences) == 0 {
		return err
	}
	for i, d := range differences {
		if i == maxListed {
			fmt.Fprintf(cmd.ErrOrStderr(), "and %d more\n", len(differences)-i)
			break
		}
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", d.What,
			filepath.ToSlash(filepath.Join(f.output, d.Path))); err != nil {
			return err
		}
	}
	what := ""
	if result.Part != nil {
		what = " " + strings.Join(packages, " ")
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s is not what the mesh compiles to; run: meshc compile%s -o %s\n", f.output, what,
		f.output)
	return errFindings
}

// foreign prints a directory that is not ours as the finding it is.
func (f *compileFlags) foreign(cmd *cobra.Command, result *compiler.Result, err error) error {
	var foreign *sink.ForeignError
	if !errors.As(err, &foreign) {
		return err
	}
	d := diag.New(diag.ForeignOutput, "", fmt.Sprintf("%s holds files that meshc did not write", foreign.Dir)).
		WithHint("give a directory of its own, or move them away")
	if len(foreign.Files) == 0 {
		d = diag.New(diag.ForeignOutput, "", foreign.Dir+" is a file, and a directory is written",
			source.Position{File: filepath.ToSlash(foreign.Dir)}).
			WithHint("give a directory of its own")
	}
	for _, name := range foreign.Files {
		d.Positions = append(d.Positions, source.Position{File: filepath.ToSlash(filepath.Join(foreign.Dir, name))})
	}
	format, err := diag.ParseFormat(f.format)
	if err != nil {
		return err
	}
	if err := f.print(cmd, &compiler.Result{Diagnostics: diag.List{d}}, format, f.output == "-"); err != nil {
		return err
	}
	return errFindings
}

// progress says on a terminal what was written.
func (f *compileFlags) progress(cmd *cobra.Command, changes []sink.Difference) {
	if !colored(cmd.ErrOrStderr()) {
		return
	}
	if len(changes) == 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s is up to date\n", f.output)
		return
	}
	count := map[string]int{}
	for _, c := range changes {
		count[c.What]++
	}
	var words []string
	for _, what := range []struct{ difference, word string }{
		{"missing", "new"},
		{"different", "changed"},
		{"stale", "removed"},
	} {
		if n := count[what.difference]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, what.word))
		}
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", f.output, strings.Join(words, ", "))
}

// follow compiles now and after every change, until it is interrupted.
func (f *compileFlags) follow(cmd *cobra.Command, packages []string) error {
	w, err := watch.New()
	if err != nil {
		return err
	}
	defer w.Close()
	for {
		began := time.Now()
		result, err := f.once(cmd, packages)
		switch {
		case errors.Is(err, context.Canceled):
			return nil
		case err != nil && !errors.Is(err, errFindings):
			return err
		case result == nil || result.Root == "":
			return err // there is nothing to watch
		}
		if err := w.Set(result.Directories, began); err != nil {
			return err
		}
		select {
		case <-cmd.Context().Done():
			return nil
		case <-w.Changes():
		}
	}
}
