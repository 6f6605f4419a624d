package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/limit"
	"github.com/meshc/meshc/compiler/load"
)

// invocation is how this process was started.
type invocation struct {
	args []string
	// dir is the working directory that it was started in.
	dir   string
	began time.Time
	// supervised is set in the process that does the work for [specFlags.supervise].
	supervised bool
}

type invocationKey struct{}

// superviseName begins the arguments of the process that a command with --untrusted runs in. It is for meshc itself.
const superviseName = "run-supervised"

// stopTime is how long a command may take to end after it was interrupted.
const stopTime = 5 * time.Second

// exited is the exit code of a command that has said all there is to say.
type exited int

func (e exited) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// limited is the error of a command that could not do all of its work within the limits of --untrusted.
type limited struct{ error }

func (l limited) Unwrap() error { return l.error }

// invoked takes the arguments of this process apart.
func invoked(args []string, stderr io.Writer) (*invocation, io.Writer) {
	dir, err := os.Getwd()
	if err != nil {
		dir = "" // where it was has gone
	}
	in := &invocation{args: args, dir: dir, began: time.Now()}
	if len(args) > 0 && args[0] == superviseName {
		in.args, in.supervised = args[1:], true
		os.Stderr = os.NewFile(limit.RerunStderr, "stderr")
		stderr = os.Stderr
	}
	return in, stderr
}

// bound makes a command with --untrusted run in a process that is held to its limits with all that it starts. It
// reports the limit that is reached as a finding: on stdout if that is the findings' own, as stdoutTaken says.
func (f *specFlags) bound(cmd *cobra.Command, stdoutTaken func() bool) {
	work := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in, _ := cmd.Context().Value(invocationKey{}).(*invocation)
		if !f.untrusted || in == nil {
			return work(cmd, args)
		}
		limits, err := f.limits()
		if err != nil {
			return err
		}
		if !in.supervised {
			return f.supervise(cmd, in, limits, stdoutTaken())
		}
		if err := limit.Own(limits.Memory); err != nil {
			return err
		}
		f.until = in.began.Add(limits.Time / 10 * 9) // whose finding names the unit
		if err := work(cmd, args); err == nil || !f.overLimit {
			return err
		} else {
			return limited{err}
		}
	}
}

// supervise runs the command in a process of its own, and copies what it said when it has ended.
func (f *specFlags) supervise(cmd *cobra.Command, in *invocation, limits limit.Limits, stdoutTaken bool) error {
	format, err := diag.ParseFormat(f.format)
	if err != nil {
		return usage(err)
	}
	if !limit.Supported {
		return errors.New("--untrusted needs Linux, where a process can be held to its limits")
	}
	r := &limit.Rerun{
		Arguments: append([]string{superviseName}, in.args...), Directory: in.dir, Stdin: cmd.InOrStdin(),
		Patience: stopTime,
	}
	code, err := r.Run(cmd.Context(), limits, exact(cmd.OutOrStdout()), exact(cmd.ErrOrStderr()))
	var reached *limit.Reached
	var died *limit.DiedError
	switch {
	case errors.As(err, &reached):
	case errors.As(err, &died):
		return fmt.Errorf("the process for %s ended: %w", cmd.CommandPath(), err)
	case err != nil:
		return err
	case code != 0:
		return exited(code)
	default:
		return nil
	}
	found := diag.New(diag.OverLimit, "", fmt.Sprintf("%s %s on this mesh", cmd.CommandPath(), reached)).
		WithHint(load.LimitHint)
	if err := f.print(cmd, &compiler.Result{Diagnostics: diag.List{found}}, format, stdoutTaken); err != nil {
		return err
	}
	return limited{errFindings}
}
