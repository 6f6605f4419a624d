package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/review/revision"
	"github.com/meshc/meshc/review/verify"
)

func newVerifyCmd() *cobra.Command {
	var flags specFlags
	var options verify.Options
	var output, junit string
	cmd := &cobra.Command{
		Use:   "verify [packages]",
		Short: "Run the tests of the mesh, offline and through real Envoys on this machine",
		Long: `Verify compiles the mesh, follows the requests of its tests through it, then starts the whole mesh on loopback as
meshc up does, with an Envoy beside each version of each service, waits until each has validated, connected and acknowledged all
that it was sent, and sends the same requests. Applications stand in for the mesh's own, and issuers of tokens for its issuers;
nothing leaves the machine.

A test passes when all outcomes that its request may have are as expected, and fails when none is. One that depends on more than the
mesh, as on a rate limit or chance, is not decided: it is told with what it depends on, and fails the run with --undecided fail.
Through Envoys a request is sent until each outcome was seen that chance decides.

With packages that are a part of the module (./team-a) the tests of those are run, through the whole mesh.

It says which routes and rules no test reaches, and with --junit writes a report that CI reads. It exits with 1 if a test
fails or the mesh is wrong.`,
		Example: `  meshc verify
  meshc verify --offline
  meshc verify --junit verify.xml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if output != "text" && output != "json" {
				return usage(fmt.Errorf("output is %q and must be text or json", output))
			}
			format, err := diag.ParseFormat(flags.format)
			if err != nil {
				return usage(err)
			}
			result, err := flags.evaluate(cmd, args)
			if err != nil {
				return err
			}
			mesh := result.Mesh
			if result.Failing != nil {
				mesh = result.Failing
			}
			// The report says which tests fail, and which are not decided.
			result.Diagnostics = slices.DeleteFunc(result.Diagnostics, func(d diag.Diagnostic) bool {
				return mesh != nil && (d.Code == diag.TestFails || d.Code == diag.TestUndecided)
			})
			if err := flags.print(cmd, result, format, true); err != nil {
				return err
			}
			if mesh == nil {
				return withoutMesh(cmd, result)
			}
			options.Part = result.Part
			if options.FailUndecided, err = flags.failUndecided(); err != nil {
				return err
			}
			if flags.untrusted {
				if options.Outside, err = revision.Top(result.Root); err != nil {
					return err
				}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), upTime)
			defer cancel()
			report, err := verify.Verify(ctx, mesh, options)
			if err != nil {
				return err
			}
			if junit != "" {
				var b bytes.Buffer
				if err := report.JUnit(&b); err != nil {
					return err
				}
				if err := os.WriteFile(junit, b.Bytes(), 0o644); err != nil { // #nosec G306 -- a report
					return err
				}
			}
			if output == "json" {
				err = writeJSON(cmd.OutOrStdout(), report)
			} else {
				err = report.Text(cmd.OutOrStdout())
			}
			if err == nil && (report.Failed() > 0 || options.FailUndecided && report.Undecided() > 0) {
				err = errFindings
			}
			return err
		},
	}
	flags.add(cmd.Flags())
	flags.bound(cmd, func() bool { return true })
	flags.addUndecided(cmd.Flags())
	cmd.Flags().BoolVar(&options.Offline, "offline", false, "start no Envoys, and follow the requests through the mesh alone")
	cmd.Flags().StringVar(&options.Envoy, "envoy", "", "the Envoy to run (default: $ENVOY, then PATH, then beside meshc)")
	cmd.Flags().StringVar(&junit, "junit", "", "file to write a report to in the form of JUnit")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}
