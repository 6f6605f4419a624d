package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// output is the form in which a command prints what it says: the value of its flag --output. "json" and "yaml" are for
// programs and have the same fields; every other form is for people.
type output struct {
	form  string
	forms []string
}

// add adds the flag to a command. The first form is that of a command without the flag.
func (o *output) add(cmd *cobra.Command, forms ...string) {
	o.form, o.forms = forms[0], forms
	cmd.Flags().VarP(o, "output", "o", oneOf(forms))
	complete(cmd, "output", func(*cobra.Command) []string { return forms })
}

// String, Set and Type are those of a flag's value. Set refuses forms that the command does not print.
func (o *output) String() string { return o.form }

// Set takes a form.
func (o *output) Set(form string) error {
	if !slices.Contains(o.forms, form) {
		return fmt.Errorf("output is %q and must be %s", form, oneOf(o.forms))
	}
	o.form = form
	return nil
}

// Type is the word for the flag's value in the help.
func (o *output) Type() string { return "string" }

// program reports whether the output is for programs, as [output.print] writes it.
func (o *output) program() bool { return o.form == "json" || o.form == "yaml" }

// print writes a value as JSON, or as YAML with the fields of the JSON.
func (o *output) print(w io.Writer, value any) error {
	if o.form != "yaml" {
		return writeJSON(w, value)
	}
	data, err := yaml.Marshal(value)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// writeJSON prints a value for programs that read what a command says.
func writeJSON(w io.Writer, value any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(value)
}

// oneOf lists alternatives in words: "text, json or yaml".
func oneOf(forms []string) string {
	if len(forms) < 2 {
		return strings.Join(forms, "")
	}
	last := len(forms) - 1
	return strings.Join(forms[:last], ", ") + " or " + forms[last]
}
