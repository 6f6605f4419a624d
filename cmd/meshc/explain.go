package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/similar"
	"github.com/meshc/meshc/schema"
	"github.com/meshc/meshc/schema/reference"
)

func newExplainCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "explain [CODE | FIELD]",
		Short: "Explain a code of a finding, or a field of the language",
		Long: `Explain prints the long text of a finding's code, with a wrong and a right example; or what a field of the spec is, by its
path from the root, and which fields it has. In a path names of services and other names of your own may be left out. A
name that stands at several places is explained at each. Without an argument it lists the codes.`,
		Example: `  meshc explain MC1201
  meshc explain services.retries
  meshc explain perTryTimeout
  meshc explain`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			w := cmd.OutOrStdout()
			switch {
			case len(args) == 0:
				return listCodes(w)
			case codeForm.MatchString(args[0]):
				return explainCode(w, args[0])
			}
			return explainField(w, args[0])
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

// codeForm is how codes of findings are written.
var codeForm = regexp.MustCompile(`^(?i:mc)\d+$`)

func listCodes(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, code := range diag.Codes() {
		fmt.Fprintf(t, "%s\t%s\t%s\n", code, code.Severity(), diag.Title(code))
	}
	return t.Flush()
}

func explainCode(w io.Writer, name string) error {
	text, ok := diag.Explain(diag.Code(strings.ToUpper(name)))
	if !ok {
		var names []string
		for _, c := range diag.Codes() {
			names = append(names, string(c))
		}
		hint := "meshc explain lists them"
		if near := similar.Name(name, names); near != "" {
			hint = fmt.Sprintf("did you mean %s?", near)
		}
		return usage(fmt.Errorf("there is no code %q; %s", name, hint))
	}
	_, err := fmt.Fprint(w, text)
	return err
}

// explainField says what a field is; of a name with many places only where they are.
func explainField(w io.Writer, path string) error {
	found, err := reference.Explain(schema.FS, path)
	if err != nil {
		return usage(fmt.Errorf("%w\n  hint: give the path of a field, as services.retries, or a code, as MC1201", err))
	}
	for i, f := range found {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := f.Text(w, i == 0 || f.Type != found[0].Type); err != nil {
			return err
		}
	}
	return nil
}
