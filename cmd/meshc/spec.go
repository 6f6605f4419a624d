package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
)

// specFlags are the flags of every command that compiles a spec.
type specFlags struct {
	tags   []string
	format string
}

func (f *specFlags) add(flags *pflag.FlagSet) {
	flags.StringArrayVarP(&f.tags, "inject", "t", nil, "tag to inject, as with cue: key=value or key")
	flags.StringVar(&f.format, "format", "text", "form of the findings: text, json, sarif or github")
}

// compile compiles the packages and prints what was found: as text on stderr, in
// another form on stdout, or on stderr when stdout is taken.
func (f *specFlags) compile(cmd *cobra.Command, packages []string, stdoutTaken bool) (*compiler.Result, error) {
	format, err := diag.ParseFormat(f.format)
	if err != nil {
		return nil, usage(err)
	}
	if os.Getenv("GOGC") == "" {
		// A compilation is short: collecting half as often costs some memory and
		// saves a fifth of the time.
		debug.SetGCPercent(200)
	}
	result, err := compiler.Compile(cmd.Context(), compiler.Options{Patterns: packages, Tags: f.tags, CacheDir: cacheDir()})
	if err != nil {
		return nil, err
	}
	return result, f.print(cmd, result, format, stdoutTaken)
}

func (f *specFlags) print(cmd *cobra.Command, result *compiler.Result, format diag.Format, stdoutTaken bool) error {
	w := cmd.OutOrStdout()
	if format == diag.Text || stdoutTaken {
		w = cmd.ErrOrStderr()
	}
	found := result.Diagnostics
	relocate(found, result.Root)
	o := diag.PrintOptions{Color: colored(w), Version: version()}
	if result.Root != "" {
		o.Files = relocated{result.Files, result.Root}
	}
	if format != diag.Text {
		return diag.Print(w, found, format, o)
	}
	if len(found) == 0 {
		return nil
	}
	if err := diag.Print(w, found, format, o); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", found.Summary())
	return err
}

// relocate makes the findings' files relative to the working directory, so that
// they can be opened from where the user stands.
func relocate(found diag.List, root string) {
	for i := range found {
		for j := range found[i].Positions {
			found[i].Positions[j].File = fromHere(root, found[i].Positions[j].File)
		}
	}
}

// fromHere is a file of the module as seen from the working directory.
func fromHere(root, name string) string {
	here, err := os.Getwd()
	if err != nil || root == "" {
		return name
	}
	if real, err := filepath.EvalSymlinks(here); err == nil {
		here = real
	}
	if real, err := filepath.EvalSymlinks(root); err == nil {
		root = real
	}
	relative, err := filepath.Rel(here, filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		return name
	}
	return filepath.ToSlash(relative)
}

// relocated are the module's files under the names that fromHere gives them.
type relocated struct {
	files fs.FS
	root  string
}

func (r relocated) Open(name string) (fs.File, error) {
	absolute, err := filepath.Abs(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	below, err := filepath.Rel(r.root, absolute)
	if err != nil {
		return nil, err
	}
	return r.files.Open(filepath.ToSlash(below))
}

// colored reports whether a writer is a terminal that wants colours.
func colored(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd()) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
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
