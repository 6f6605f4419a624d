package main

import (
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/ir"
)

// complete lets a shell complete the value of a flag.
func complete(cmd *cobra.Command, flag string, values func(*cobra.Command) []string) {
	err := cmd.RegisterFlagCompletionFunc(flag,
		func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			return values(cmd), cobra.ShellCompDirectiveNoFileComp
		})
	if err != nil {
		panic(err) // there is no such flag: a fault that every test finds
	}
}

// completeMembers lets a shell complete the name of a member as the argument after those that say of which kind it is.
func completeMembers(kinds ...ir.MemberKind) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		of, values := kinds, []string(nil)
		switch {
		case len(args) == 0:
			for _, k := range kinds {
				values = append(values, string(k))
			}
		case len(args) == 1 && slices.Contains(kinds, ir.MemberKind(args[0])):
			of = []ir.MemberKind{ir.MemberKind(args[0])}
		default:
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return append(values, memberNames(cmd, of...)...), cobra.ShellCompDirectiveNoFileComp
	}
}

// memberNames are the names of the mesh's members and externals of some kinds; none where nothing compiles.
func memberNames(cmd *cobra.Command, kinds ...ir.MemberKind) []string {
	cmd.SetErr(io.Discard) // a shell shows what is printed in the middle of the line
	dir, _ := cmd.Flags().GetString("dir")
	tags, _ := cmd.Flags().GetStringArray("inject")
	m, err := describedMesh(cmd, dir, tags)
	if err != nil {
		return nil
	}
	var out []string
	if slices.Contains(kinds, ir.KindService) {
		for _, s := range m.Services {
			out = append(out, s.Name)
		}
	}
	if slices.Contains(kinds, ir.KindGateway) {
		for _, g := range m.Gateways {
			out = append(out, g.Name)
		}
	}
	if slices.Contains(kinds, ir.KindExternal) {
		for _, e := range m.Externals {
			out = append(out, e.Name)
		}
	}
	return out
}
