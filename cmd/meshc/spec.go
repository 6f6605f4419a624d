package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/limit"
	"github.com/meshc/meshc/compiler/load"
)

// specFlags are the flags of every command that compiles a spec.
type specFlags struct {
	tags      []string
	format    string
	untrusted bool
	maxTime   time.Duration
	maxMemory string
	// until is when the evaluation must have ended; zero for maxTime after its beginning.
	until time.Time
	// overLimit is set when an evaluation has reached a limit.
	overLimit bool
	// undecided says how tests that are not decided are reported: "fail", or "warn" (and empty, of a command
	// without the flag).
	undecided string
}

// The limits where none are written.
const (
	defaultTime = 30 * time.Second
	maxOutput   = 256 << 20 // bytes, of what is printed and of what an evaluation comes to
)

func (f *specFlags) add(flags *pflag.FlagSet) {
	flags.StringArrayVarP(&f.tags, "inject", "t", nil, "tag to inject, as with cue: key=value or key")
	flags.StringVar(&f.format, "format", "text", "form of the findings: text, json, sarif or github")
	flags.BoolVar(&f.untrusted, "untrusted", false,
		"keep to limits of time and memory, and evaluate the spec in a process of its own, without files and network")
	flags.DurationVar(&f.maxTime, "max-time", defaultTime, "with --untrusted: how long it may take")
	flags.StringVar(&f.maxMemory, "max-memory", "1GiB",
		"with --untrusted: how much memory it may have, with all that it starts, in MiB or GiB")
}

// limits are those for a spec that is not trusted.
func (f *specFlags) limits() (limit.Limits, error) {
	memory, err := memorySize(f.maxMemory)
	if err != nil {
		return limit.Limits{}, usage(err)
	}
	if f.maxTime < time.Millisecond {
		return limit.Limits{}, usage(fmt.Errorf("--max-time is %s", f.maxTime))
	}
	return limit.Limits{Time: f.maxTime, Memory: memory, Output: maxOutput}, nil
}

// addUndecided adds the flag of commands that run the spec's tests.
func (f *specFlags) addUndecided(flags *pflag.FlagSet) {
	flags.StringVar(&f.undecided, "undecided", "warn",
		"what tests are whose outcome depends on more than the mesh: warn, or fail")
}

// failUndecided reads the flag of addUndecided.
func (f *specFlags) failUndecided() (bool, error) {
	switch f.undecided {
	case "", "warn":
		return false, nil
	case "fail":
		return true, nil
	}
	return false, usage(fmt.Errorf("--undecided is %q and must be warn or fail", f.undecided))
}

// evaluator is how a spec that is not trusted is evaluated; nil for one that is.
func (f *specFlags) evaluator() (*load.Apart, error) {
	if !f.untrusted {
		return nil, nil
	}
	limits, err := f.limits()
	if err != nil {
		return nil, err
	}
	return &load.Apart{
		Command: func() *exec.Cmd {
			cmd := exec.Command("/proc/self/exe", evaluateName)
			cmd.Args[0] = os.Args[0]
			return cmd
		},
		Limits: limits, Until: f.until,
	}, nil
}

// memorySize reads "512MiB" or "2GiB".
func memorySize(text string) (int64, error) {
	for unit, shift := range map[string]int{"MiB": 20, "GiB": 30} {
		if number, ok := strings.CutSuffix(text, unit); ok {
			if n, err := strconv.ParseInt(number, 10, 32); err == nil && n > 0 {
				return n << shift, nil
			}
		}
	}
	return 0, fmt.Errorf("--max-memory is %q: write 512MiB or 2GiB", text)
}

// evaluateName is the command of the process in which specs are evaluated that are not
// trusted. It is for meshc itself.
const evaluateName = "evaluate-apart"

func newEvaluateCmd() *cobra.Command {
	return &cobra.Command{
		Use: evaluateName, Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return load.RunApart(cmd.InOrStdin(), exact(cmd.OutOrStdout()), exact(cmd.ErrOrStderr()))
		},
	}
}

// compile compiles the packages and prints what was found: as text on stderr, in
// another form on stdout, or on stderr when stdout is taken.
func (f *specFlags) compile(cmd *cobra.Command, packages []string, stdoutTaken bool) (*compiler.Result, error) {
	format, err := diag.ParseFormat(f.format)
	if err != nil {
		return nil, usage(err)
	}
	result, err := f.evaluate(cmd, packages)
	if err != nil {
		return nil, err
	}
	return result, f.print(cmd, result, format, stdoutTaken)
}

// evaluate compiles the packages and prints nothing.
func (f *specFlags) evaluate(cmd *cobra.Command, packages []string) (*compiler.Result, error) {
	if os.Getenv("GOGC") == "" {
		// A compilation is short: collecting half as often costs some memory and
		// saves a fifth of the time.
		debug.SetGCPercent(200)
	}
	result, err := f.compiled(cmd.Context(), compiler.Options{Patterns: packages})
	if err == nil {
		tellPart(cmd, result.Part)
	}
	return result, err
}

// compiled compiles with the tags and within the limits that are given.
func (f *specFlags) compiled(ctx context.Context, o compiler.Options) (*compiler.Result, error) {
	apart, err := f.evaluator()
	if err != nil {
		return nil, err
	}
	if o.FailUndecided, err = f.failUndecided(); err != nil {
		return nil, err
	}
	o.Tags, o.CacheDir, o.Apart, o.Version = f.tags, cacheDir(), apart, imageTag()
	result, err := compiler.Compile(ctx, o)
	if err == nil {
		f.overLimit = f.overLimit ||
			slices.ContainsFunc(result.Diagnostics, func(d diag.Diagnostic) bool { return d.Code == diag.OverLimit })
	}
	return result, err
}

func (f *specFlags) print(cmd *cobra.Command, result *compiler.Result, format diag.Format, stdoutTaken bool) error {
	w := cmd.OutOrStdout()
	if format == diag.Text || stdoutTaken {
		w = cmd.ErrOrStderr()
	}
	found := result.Diagnostics
	base, root := actual(baseOf(format)), actual(result.Root)
	relocate(found, root, base)
	o := diag.PrintOptions{Color: colored(w), Version: version()}
	if result.Root != "" {
		o.Files = relocated{result.Files, root, base}
	}
	if format == diag.GitHub {
		w = exact(w) // its commands are meant
	}
	if len(found) == 0 && format == diag.Text {
		return nil
	}
	err := diag.Print(w, found, format, o)
	if err == nil && format == diag.Text {
		_, err = fmt.Fprintf(w, "\n%s\n", found.Summary())
	}
	if err == nil && noMesh(found) {
		err = exited(exitFault)
	}
	return err
}

// noMesh reports whether a command runs where there is no mesh, which is a wrong use and nothing wrong with a mesh.
func noMesh(found diag.List) bool {
	return slices.ContainsFunc(found, func(d diag.Diagnostic) bool {
		return d.Code == diag.NotAModule && len(d.Positions) == 0
	})
}

// baseOf is where files are named from in a form of the findings: the working directory, from where they can be
// opened, or for GitHub's own forms the repository that it checked out, which it looks them up in. It is empty when
// that cannot be told.
func baseOf(format diag.Format) string {
	if top := os.Getenv("GITHUB_WORKSPACE"); top != "" && (format == diag.GitHub || format == diag.SARIF) {
		return top
	}
	here, err := os.Getwd()
	if err != nil {
		return ""
	}
	return here
}

// relocate makes the findings' files relative to a directory.
func relocate(found diag.List, root, base string) {
	for i := range found {
		for j := range found[i].Positions {
			found[i].Positions[j].File = relativeTo(base, root, found[i].Positions[j].File)
		}
	}
}

// actual is a directory without links in its path.
func actual(dir string) string {
	if real, err := filepath.EvalSymlinks(dir); dir != "" && err == nil {
		return real
	}
	return dir
}

// relativeTo is a file of the module as seen from a directory.
func relativeTo(base, root, name string) string {
	if base == "" || root == "" {
		return name
	}
	relative, err := filepath.Rel(base, filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		return name
	}
	return filepath.ToSlash(relative)
}

// relocated are the module's files under the names that relativeTo gives them.
type relocated struct {
	files      fs.FS
	root, base string
}

func (r relocated) Open(name string) (fs.File, error) {
	below, err := filepath.Rel(r.root, filepath.Join(r.base, filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	return r.files.Open(filepath.ToSlash(below))
}

// colored reports whether a writer is a terminal that wants colours.
func colored(w io.Writer) bool {
	return terminal(w) != nil && os.Getenv("NO_COLOR") == ""
}

// cacheDir keeps what need not be computed again: $MESHC_CACHE, else the user's
// own; "" for nowhere. MESHC_CACHE=off turns it off.
func cacheDir() string {
	switch dir := os.Getenv("MESHC_CACHE"); dir {
	case "":
		dir, err := os.UserCacheDir()
		if err != nil {
			return ""
		}
		return filepath.Join(dir, "meshc")
	case "off":
		return ""
	default:
		return dir
	}
}
