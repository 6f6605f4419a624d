package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
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

// supervisedStderr is the file descriptor of what such a process says. Its own stderr is left to Go's runtime, whose last
// words nobody is to see.
const supervisedStderr = 3

// stopTime is how long a command may take to end after it was interrupted.
const stopTime = 5 * time.Second

// maxSaid is how many bytes of what the runtime says are kept.
const maxSaid = 16 << 10

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
		os.Stderr = os.NewFile(supervisedStderr, "stderr")
		stderr = os.Stderr
	}
	return in, stderr
}

// bound makes a command with --untrusted run in a process that is held to its limits with all that it starts. It reports
// the limit that is reached as a finding: on stdout if that is the findings' own, as stdoutTaken says.
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
	dir, err := os.MkdirTemp("", "meshc-untrusted-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r := &supervised{in: in, dir: dir, stdin: cmd.InOrStdin()}
	err = r.run(cmd.Context(), limits)
	var reached *limit.Reached
	var exit *exec.ExitError
	switch {
	case err == nil || errors.As(err, &exit) && exit.Exited() && r.said.Len() == 0:
		if err := r.copy(exact(cmd.OutOrStdout()), exact(cmd.ErrOrStderr())); err != nil {
			return err
		}
		if exit != nil {
			return exited(exit.ExitCode())
		}
		return nil
	case cmd.Context().Err() != nil:
		return cmd.Context().Err()
	case errors.As(err, &reached):
	case limit.OutOfMemory(r.said.String()):
		reached = limit.OverMemory(limits.Memory)
	default:
		first, _, _ := strings.Cut(strings.TrimSpace(r.said.String()), "\n")
		return fmt.Errorf("the process for %s ended: %w: %s", cmd.CommandPath(), err, first)
	}
	found := diag.New(diag.OverLimit, "", fmt.Sprintf("%s %s on this mesh", cmd.CommandPath(), reached)).WithHint(load.LimitHint)
	if err := f.print(cmd, &compiler.Result{Diagnostics: diag.List{found}}, format, stdoutTaken); err != nil {
		return err
	}
	return limited{errFindings}
}

// supervised is a command that runs in a process of its own.
type supervised struct {
	in             *invocation
	dir            string // for its files and those of all that it starts
	stdin          io.Reader
	stdout, stderr *os.File
	said           boundedText // by the runtime
}

// run runs it to its end, or to a limit. It and all that it started are gone then.
func (r *supervised) run(ctx context.Context, limits limit.Limits) (err error) {
	if r.stdout, err = os.Create(filepath.Join(r.dir, "stdout")); err != nil {
		return err
	}
	if r.stderr, err = os.Create(filepath.Join(r.dir, "stderr")); err != nil {
		return err
	}
	temporary := filepath.Join(r.dir, "tmp")
	if err := os.Mkdir(temporary, 0o700); err != nil {
		return err
	}
	if err := limit.Adopt(); err != nil {
		return err
	}
	runtime.LockOSThread() // it is this thread whose end the process would die of
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append([]string{superviseName}, r.in.args...)...) // #nosec G204 -- itself
	cmd.Args[0] = os.Args[0]
	cmd.Dir = r.in.dir
	cmd.Env = append(os.Environ(), "TMPDIR="+temporary, "GOTRACEBACK=none")
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = r.stdin, r.stdout, &r.said, []*os.File{r.stderr}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTime
	cmd.SysProcAttr = limit.DieWithParent()
	if err := cmd.Start(); err != nil {
		return err
	}
	defer limit.KillBelow(os.Getpid())
	watched := &limit.Process{Cmd: cmd, Limits: limits, Files: []*os.File{r.stdout, r.stderr}, Root: os.Getpid()}
	return watched.Wait(context.WithoutCancel(ctx)) // cmd ends it in good order
}

// copy writes what it wrote.
func (r *supervised) copy(stdout, stderr io.Writer) error {
	for _, c := range []struct {
		to   io.Writer
		from *os.File
	}{{stderr, r.stderr}, {stdout, r.stdout}} {
		if _, err := c.from.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.Copy(c.to, c.from); err != nil {
			return err
		}
		if err := c.from.Close(); err != nil {
			return err
		}
	}
	return nil
}

// boundedText keeps the beginning of what is written to it.
type boundedText struct{ bytes.Buffer }

func (b *boundedText) Write(data []byte) (int, error) {
	b.Buffer.Write(data[:min(len(data), maxSaid-min(maxSaid, b.Len()))])
	return len(data), nil
}
