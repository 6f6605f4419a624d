package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/meshfile"
	"github.com/meshc/meshc/review/state"
)

// sides are what is compared. What is found in a mesh that cannot be is printed.
func (f *diffFlags) sides(cmd *cobra.Command, args []string) (before, after *state.State, err error) {
	ctx := cmd.Context()
	dir := "."
	if len(args) == 1 && args[0] != "./..." {
		dir = args[0]
	}
	switch {
	case len(args) == 2:
		if before, err = f.side(ctx, args[0]); err == nil {
			after, err = f.side(ctx, args[1])
		}
	case f.server != "":
		if after, err = f.side(ctx, dir); err == nil {
			before, err = servedBy(cmd, f.server)
		}
	case meshfile.IsFile(dir):
		err = usage(fmt.Errorf("%s is a compiled mesh, and of a revision the spec is read", dir))
	default:
		if _, err = diag.ParseFormat(f.format); err != nil {
			return nil, nil, usage(err)
		}
		before, after, err = f.compiler().Since(ctx, dir, f.from, f.fromTip)
	}
	return before, after, f.explained(cmd, err)
}

// side is a compiled mesh, or the spec in a directory.
func (f *diffFlags) side(ctx context.Context, name string) (*state.State, error) {
	if meshfile.IsFile(name) {
		return state.Compiled(ctx, name)
	}
	if _, err := diag.ParseFormat(f.format); err != nil {
		return nil, usage(err)
	}
	return f.compiler().WorkTree(ctx, name)
}

// compiler keeps nothing of a spec that is not trusted.
func (f *diffFlags) compiler() *state.Compiler {
	c := &state.Compiler{Compile: f.compiled, Inputs: append([]string{version()}, f.tags...), Untrusted: f.untrusted}
	if !f.untrusted {
		c.Cache = cacheDir()
	}
	return c
}

// explained prints the findings for which a mesh cannot be compared, if that is the error.
func (f *diffFlags) explained(cmd *cobra.Command, err error) error {
	var wrong *state.WrongError
	var part *state.PartError
	switch {
	case errors.As(err, &part):
		return usage(err)
	case errors.As(err, &wrong):
		format, formatErr := diag.ParseFormat(f.format)
		if formatErr != nil {
			return usage(formatErr)
		}
		if printErr := f.specFlags.print(cmd, wrong.Result, format, true); printErr != nil {
			return printErr
		}
	}
	return err
}

// servedBy is the mesh that a server serves.
func servedBy(cmd *cobra.Command, server string) (*state.State, error) {
	data, err := ask(cmd, server, "/mesh")
	if err != nil {
		return nil, err
	}
	m, err := ir.Unmarshal(data)
	if err != nil {
		return nil, errors.New("the server at " + server + " serves no mesh")
	}
	// What operators have changed for a time is in no mesh.
	if report, _, err := fetchStatus(cmd, server); err == nil {
		for i := range report.Levers {
			fmt.Fprintf(cmd.ErrOrStderr(), "beside the mesh a lever is in force at %s: %s\n", server, report.Levers[i].Line())
		}
	}
	return &state.State{Mesh: m}, nil
}
