package limit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// RerunStderr is the file descriptor of what a process of [Rerun] says. Its own stderr is left to Go's runtime, whose
// last words nobody is to see.
const RerunStderr = 3

// maxSaid is how many bytes of what the runtime says are kept.
const maxSaid = 16 << 10

// Rerun runs this program once more, within limits, with all that it starts. What it writes is kept in files until it
// has ended, so that of a process that reaches a limit nothing is seen.
type Rerun struct {
	// Arguments are those of the program, without its name.
	Arguments []string
	// Directory is its working directory, and Stdin what it reads.
	Directory string
	Stdin     io.Reader
	// Patience is how long it may take to end after it was interrupted.
	Patience time.Duration

	said boundedText // by the runtime
}

// DiedError is for a process that did not end by itself.
type DiedError struct {
	err error
	// said is the first line of what Go's runtime said.
	said string
}

func (e *DiedError) Error() string { return e.err.Error() + ": " + e.said }

func (e *DiedError) Unwrap() error { return e.err }

// Run runs it to its end, gives its exit code and copies what it wrote. Else the error is a [*Reached] at a limit, the
// context's, a [*DiedError], or why it could not be run or copied. It and all that it started are gone afterwards.
func (r *Rerun) Run(ctx context.Context, limits Limits, stdout, stderr io.Writer) (code int, err error) {
	dir, err := os.MkdirTemp("", "meshc-untrusted-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	out, err := os.Create(filepath.Join(dir, "stdout"))
	if err != nil {
		return 0, err
	}
	defer out.Close()
	said, err := os.Create(filepath.Join(dir, "stderr"))
	if err != nil {
		return 0, err
	}
	defer said.Close()
	cmd, err := r.start(ctx, dir, out, said)
	if err != nil {
		return 0, err
	}
	defer KillBelow(os.Getpid())
	defer runtime.UnlockOSThread()
	watched := &Process{Cmd: cmd, Limits: limits, Files: []*os.File{out, said}, Root: os.Getpid()}
	err = watched.Wait(context.WithoutCancel(ctx)) // cmd ends it in good order
	var exit *exec.ExitError
	var reached *Reached
	switch {
	case err == nil:
	case errors.As(err, &exit) && exit.Exited() && r.said.Len() == 0:
		code = exit.ExitCode()
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case errors.As(err, &reached):
		return 0, reached
	case OutOfMemory(r.said.String()):
		return 0, OverMemory(limits.Memory)
	default:
		first, _, _ := strings.Cut(strings.TrimSpace(r.said.String()), "\n")
		return 0, &DiedError{err, first}
	}
	return code, errors.Join(written(stderr, said), written(stdout, out))
}

// start starts the process, with a directory for the files of all that it starts. The calling thread is locked, as the
// process would die with it.
func (r *Rerun) start(ctx context.Context, dir string, stdout, stderr *os.File) (*exec.Cmd, error) {
	temporary := filepath.Join(dir, "tmp")
	if err := os.Mkdir(temporary, 0o700); err != nil {
		return nil, err
	}
	if err := Adopt(); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", r.Arguments...) // #nosec G204 -- itself
	cmd.Args[0] = os.Args[0]
	cmd.Dir = r.Directory
	cmd.Env = append(os.Environ(), "TMPDIR="+temporary, "GOTRACEBACK=none")
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = r.Stdin, stdout, &r.said, []*os.File{stderr}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = r.Patience
	cmd.SysProcAttr = DieWithParent()
	runtime.LockOSThread()
	if err := cmd.Start(); err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	return cmd, nil
}

// written copies a file that a process has written.
func written(to io.Writer, from *os.File) error {
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := io.Copy(to, from)
	return err
}

// boundedText keeps the beginning of what is written to it.
type boundedText struct{ bytes.Buffer }

func (b *boundedText) Write(data []byte) (int, error) {
	b.Buffer.Write(data[:min(len(data), maxSaid-min(maxSaid, b.Len()))])
	return len(data), nil
}
