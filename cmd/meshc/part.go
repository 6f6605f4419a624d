package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/render"
	"github.com/meshc/meshc/render/meshfile"
)

// maxLeft is how many directories are named that a part leaves out.
const maxLeft = 10

// tellPart says what of the module a command leaves out, where that is something.
func tellPart(cmd *cobra.Command, p *source.Part) {
	if p == nil {
		return
	}
	named := strings.Join(p.Left[:min(maxLeft, len(p.Left))], ", ")
	if more := len(p.Left) - maxLeft; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "only a part of the mesh: %s; left out: %s\n", p, named)
}

// tellWritten says what is written of a part, and what is not.
func tellWritten(cmd *cobra.Command, output string, r *compiler.Result) {
	if r.Part == nil {
		return
	}
	of, all := render.Members(r.Mesh, r.Part)
	if output == "-" {
		fmt.Fprintf(cmd.ErrOrStderr(),
			"these are the manifests of %d of %d members, without those of the mesh itself\n", of, all)
		return
	}
	fmt.Fprintf(cmd.ErrOrStderr(),
		"%s has the files of %d of %d members as they are now; all others there, mesh.json too, are as they were\n",
		output, of, all)
}

// wholeMesh refuses packages that are a part of their mesh, for a command that has no use for one. A compiled mesh is
// a whole.
func wholeMesh(cmd *cobra.Command, args []string) error {
	if len(args) == 0 || len(args) == 1 && meshfile.IsFile(args[0]) {
		return nil
	}
	part, err := compiler.Part(".", args)
	if err != nil {
		return err
	}
	return refusePart(cmd.Name(), part)
}

// refusePart is the error of a command that is given a part; nil for a whole mesh.
func refusePart(command string, p *source.Part) error {
	if p == nil {
		return nil
	}
	return usage(fmt.Errorf("%s takes the whole mesh, and %s is a part of it; name no packages", command, p))
}

// withoutMesh ends a command that needs a mesh and has none: why is printed.
func withoutMesh(cmd *cobra.Command, r *compiler.Result) error {
	if !r.Diagnostics.HasErrors() {
		fmt.Fprintf(cmd.ErrOrStderr(), "nothing is wrong with %s, but nothing is done with a mesh that has errors\n",
			r.Part)
	}
	return errFindings
}
