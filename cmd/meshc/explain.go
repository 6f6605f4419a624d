package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/diag"
)

func newExplainCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "explain [CODE]",
		Short: "Explain a code, with a wrong and a right example",
		Long:  `Explain prints the long text of a finding's code. Without a code it lists them all.`,
		Example: `  meshc explain MC1201
  meshc explain`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			w := cmd.OutOrStdout()
			if len(args) == 0 {
				t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
				for _, code := range diag.Codes() {
					fmt.Fprintf(t, "%s\t%s\t%s\n", code, code.Severity(), diag.Title(code))
				}
				return t.Flush()
			}
			code := diag.Code(strings.ToUpper(args[0]))
			text, ok := diag.Explain(code)
			if !ok {
				var names []string
				for _, c := range diag.Codes() {
					names = append(names, string(c))
				}
				hint := "meshc explain lists them"
				if near := diag.DidYouMean(string(code), names); near != "" {
					hint = fmt.Sprintf("did you mean %s?", near)
				}
				return usage(fmt.Errorf("there is no code %q; %s", args[0], hint))
			}
			_, err := fmt.Fprint(w, text)
			return err
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, c := range diag.Codes() {
				names = append(names, string(c)+"\t"+diag.Title(c))
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}
