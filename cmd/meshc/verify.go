package main

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/review/revision"
	"github.com/meshc/meshc/review/verify"
	"github.com/meshc/meshc/serve/lever"
)

// verifyOptions are the flags of meshc verify.
type verifyOptions struct {
	specFlags
	verify.Options
	output   output
	junit    string
	failures bool
	without  string
	longest  time.Duration
}

func newVerifyCmd() *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify [packages]",
		Short: "Run the tests of the mesh, offline and through real Envoys on this machine",
		Long: `Verify compiles the mesh, follows the requests of its tests through it, then starts the whole mesh on loopback as
meshc up does, with an Envoy beside each version of each service, waits until each has validated, connected and acknowledged all
that it was sent, and sends the same requests. Applications stand in for the mesh's own, and token issuers for its issuers;
nothing leaves the machine.

A test passes when all outcomes that its request may have are as expected, and fails when none is. One that depends on more than the
mesh, as on a rate limit or chance, is not decided: it is told with what it depends on, and fails the run with --undecided fail.
Through Envoys a request is sent until each outcome was seen that chance decides.

With packages that are a part of the module (./team-a) the tests of those are run, through the whole mesh.

It says which routes and rules no test reaches, and with --junit writes a report that CI reads. It exits with 1 if a test
fails or the mesh is wrong.

With --failures it sends no tests: it has the applications hang, fail, break off and be overloaded, in each way for which
the spec has a setting, and compares what callers get with what the settings say. A setting that does something else, or
changes nothing, is a finding.

With --without it sends no tests: it ends a service, or an external, and says what each caller gets then, after how long,
and which objectives break; also when it takes requests and never answers.`,
		Example: `  meshc verify
  meshc verify --offline
  meshc verify --junit verify.xml
  meshc verify --failures
  meshc verify --without payment`,
		RunE: o.run,
	}
	o.add(cmd.Flags())
	o.bound(cmd, func() bool { return true })
	o.addUndecided(cmd.Flags())
	cmd.Flags().BoolVar(&o.Offline, "offline", false, "start no Envoys, and follow the requests through the mesh alone")
	cmd.Flags().StringVar(&o.Envoy, "envoy", "", "the Envoy to run (default: $ENVOY, then PATH, then beside meshc)")
	cmd.Flags().StringVar(&o.junit, "junit", "", "file to write a report to in the form of JUnit")
	cmd.Flags().BoolVar(&o.failures, "failures", false, "provoke the failures for which the spec has settings, and run no tests")
	cmd.Flags().StringVar(&o.without, "without", "", "end this service or external, and say what its callers get; run no tests")
	cmd.Flags().DurationVar(&o.longest, "longest", 0,
		"with --failures and --without, the longest time that an answer is waited for (default 12s and 20s)")
	for _, instead := range []string{"failures", "without"} {
		cmd.MarkFlagsMutuallyExclusive(instead, "offline")
		cmd.MarkFlagsMutuallyExclusive(instead, "junit")
	}
	cmd.MarkFlagsMutuallyExclusive("failures", "without")
	o.output.add(cmd, "text", "json", "yaml")
	return cmd
}

// run compiles the mesh, runs its tests and reports.
func (o *verifyOptions) run(cmd *cobra.Command, args []string) error {
	result, err := o.tested(cmd, args)
	if err != nil {
		return err
	}
	mesh := cmp.Or(result.Mesh, result.Failing)
	if mesh == nil {
		return withoutMesh(cmd, result)
	}
	o.Part = result.Part
	if o.FailUndecided, err = o.failUndecided(); err != nil {
		return err
	}
	if o.untrusted {
		if o.Outside, err = revision.Top(result.Root); err != nil {
			return err
		}
	}
	if o.failures || o.without != "" {
		return o.provoke(cmd, mesh)
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), upTime)
	defer cancel()
	report, err := verify.Verify(ctx, mesh, o.Options)
	if err != nil {
		return err
	}
	if err := o.report(cmd, report); err != nil {
		return err
	}
	if report.Failed() > 0 || o.FailUndecided && report.Undecided() > 0 {
		return errFindings
	}
	return nil
}

// provoke has the mesh fail in each way for which it has settings, or has a callee gone, and reports.
func (o *verifyOptions) provoke(cmd *cobra.Command, mesh *ir.Mesh) error {
	options := verify.FailureOptions{Envoy: o.Envoy, Outside: o.Outside, Longest: o.longest}
	if o.without != "" {
		gone, err := lever.Callee(mesh, o.without)
		if err != nil {
			return usage(err)
		}
		report, err := verify.Without(cmd.Context(), mesh, gone, options)
		return o.write(cmd, report, err)
	}
	report, err := verify.Provoke(cmd.Context(), mesh, options)
	if err := o.write(cmd, report, err); err != nil {
		return err
	}
	if report.Found() > 0 {
		return errFindings
	}
	return nil
}

// write prints a report, unless there is an error.
func (o *verifyOptions) write(cmd *cobra.Command, report interface{ Text(io.Writer) error }, err error) error {
	switch {
	case err != nil:
		return err
	case o.output.program():
		return o.output.print(cmd.OutOrStdout(), report)
	}
	return report.Text(cmd.OutOrStdout())
}

// tested compiles the packages and prints what is found, but for their tests: the report says which of them fail, and
// which are not decided.
func (o *verifyOptions) tested(cmd *cobra.Command, packages []string) (*compiler.Result, error) {
	format, err := diag.ParseFormat(o.format)
	if err != nil {
		return nil, usage(err)
	}
	result, err := o.evaluate(cmd, packages)
	if err != nil {
		return nil, err
	}
	reported := result.Mesh != nil || result.Failing != nil
	result.Diagnostics = slices.DeleteFunc(result.Diagnostics, func(d diag.Diagnostic) bool {
		return reported && (d.Code == diag.TestFails || d.Code == diag.TestUndecided)
	})
	return result, o.print(cmd, result, format, true)
}

// report writes the file for CI, if one is wanted, and prints.
func (o *verifyOptions) report(cmd *cobra.Command, report *verify.Report) error {
	if o.junit != "" {
		var b bytes.Buffer
		if err := report.JUnit(&b); err != nil {
			return err
		}
		if err := os.WriteFile(o.junit, b.Bytes(), 0o644); err != nil { // #nosec G306 -- a report
			return err
		}
	}
	return o.write(cmd, report, nil)
}
