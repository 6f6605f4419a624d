package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/meshc/meshc/compiler/similar"
)

// usageError is a wrong use of the command line.
type usageError struct{ error }

func usage(err error) error { return usageError{err} }

// wrongArguments makes wrong arguments of a command and of those below it a wrong use, which says what is right.
func wrongArguments(cmd *cobra.Command) {
	right := cmd.Args
	cmd.Args = func(cmd *cobra.Command, given []string) error {
		if cmd.HasSubCommands() && len(given) > 0 {
			return unknownCommand(cmd, given[0])
		}
		if right == nil {
			return nil
		}
		err := right(cmd, given)
		switch wrong := (usageError{}); {
		case err == nil || errors.As(err, &wrong):
			return err
		case len(given) == 0:
			return usage(fmt.Errorf("an argument is missing: %s", form(cmd)))
		}
		return usage(fmt.Errorf("wrong arguments %s: the form is %s", quoted(given), form(cmd)))
	}
	for _, sub := range cmd.Commands() {
		wrongArguments(sub)
	}
}

// form is how a command is written, without its flags.
func form(cmd *cobra.Command) string {
	return strings.TrimSuffix(strings.TrimSuffix(cmd.CommandPath()+" "+arguments(cmd), " [flags]"), " ")
}

// arguments are those of a command, as its help writes them.
func arguments(cmd *cobra.Command) string {
	_, after, _ := strings.Cut(cmd.Use, " ")
	return after
}

// unknownCommand is the error for a command that does not exist below another one.
func unknownCommand(below *cobra.Command, name string) error {
	var names []string
	for _, c := range below.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	path := strings.TrimPrefix(below.CommandPath()+" "+name, below.Root().Name()+" ")
	if near := similar.Name(name, names); near != "" {
		return usage(fmt.Errorf("there is no command %q; did you mean %s %s?", path, below.CommandPath(), near))
	}
	if below.HasParent() {
		return usage(fmt.Errorf("there is no command %q: %s", path, oneOf(names)))
	}
	return usage(fmt.Errorf("there is no command %q", path))
}

// wrongFlag is the error for a flag that a command does not have, or that has a wrong value.
func wrongFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var empty *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		return usage(unknownFlag(cmd, unknown))
	case errors.As(err, &empty):
		return usage(fmt.Errorf("--%s needs a value: %s", empty.GetFlag().Name, empty.GetFlag().Usage))
	case errors.As(err, &invalid) && invalid.GetFlag().Value.Type() == "string":
		return usage(invalid.Unwrap()) // it is our own, and names the flag
	case errors.As(err, &invalid):
		return usage(fmt.Errorf("--%s is %q and must be %s", invalid.GetFlag().Name, invalid.GetValue(),
			valueText(invalid.GetFlag().Value)))
	}
	return usage(errors.New(strings.TrimPrefix(err.Error(), "pflag: ")))
}

// unknownFlag names a flag of the command that is written nearly so.
func unknownFlag(cmd *cobra.Command, e *pflag.NotExistError) error {
	if short := e.GetSpecifiedShortnames(); short != "" {
		return fmt.Errorf("%s has no flag -%s", cmd.CommandPath(), cmp.Or(e.GetSpecifiedName(), short))
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := similar.Name(e.GetSpecifiedName(), names); near != "" {
		return fmt.Errorf("unknown flag: --%s; did you mean --%s?", e.GetSpecifiedName(), near)
	}
	return fmt.Errorf("unknown flag: --%s", e.GetSpecifiedName())
}

// valueText says in words what the values of a flag are.
func valueText(v pflag.Value) string {
	switch v.Type() {
	case "bool":
		return "true or false"
	case "int", "int64", "uint", "uint16", "uint32":
		return "a whole number"
	case "duration":
		return `a time as "30s" or "5m"`
	}
	return "a value of the type " + v.Type()
}

// quoted writes arguments so that they can be told apart.
func quoted(args []string) string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = fmt.Sprintf("%q", a)
	}
	return strings.Join(out, " ")
}
