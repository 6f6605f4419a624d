// Package limit runs a process, and all that it starts, within limits of time, memory and output. It is for work on
// what strangers wrote, which may want all of a machine.
package limit

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Limits bound a process together with all that it starts. A limit of zero is none.
type Limits struct {
	// Time is how long it may run.
	Time time.Duration
	// Memory is how many bytes all of it may have resident at once. What several processes have of the same file counts
	// once. It is looked at every few milliseconds, so a 16th of it is kept for what is taken between two looks.
	Memory int64
	// Output is how many bytes each file of [Process.Files] may come to.
	Output int64
}

// Reached is the error of a process that was ended at a limit. It is a sentence about what the process did: "takes
// longer than 10s".
type Reached struct {
	text string
	time bool
}

func (r *Reached) Error() string { return r.text }

// Time reports whether it is the limit of time.
func (r *Reached) Time() bool { return r.time }

// OverTime is the error of what takes longer.
func OverTime(d time.Duration) *Reached {
	return &Reached{fmt.Sprintf("takes longer than %s", d), true}
}

// OverMemory is the error of what needs more bytes.
func OverMemory(n int64) *Reached {
	return &Reached{fmt.Sprintf("needs more than %s of memory", Bytes(n)), false}
}

// OutOfMemory reports whether a Go process that ended says that it had no more memory: for its heap, or for a stack.
func OutOfMemory(stderr string) bool {
	for _, word := range []string{
		"out of memory", "cannot allocate memory", "stack overflow",
		"exceeds 1000000000-byte limit", "failed to create new OS thread",
	} {
		if strings.Contains(stderr, word) {
			return true
		}
	}
	return false
}

// OverOutput is the error of what writes more bytes.
func OverOutput(n int64) *Reached { return &Reached{"comes to more than " + Bytes(n), false} }

// Bytes is a size in words: "1 GiB".
func Bytes(n int64) string {
	if n%(1<<30) == 0 {
		return fmt.Sprintf("%d GiB", n>>30)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// interval is how often memory and files are looked at. What a process can take meanwhile is a few MiB.
const interval = 5 * time.Millisecond

// Process is one that is watched.
type Process struct {
	Cmd    *exec.Cmd
	Limits Limits
	// Files are what it writes to, of which each is bounded.
	Files []*os.File
	// Root is the process whose memory counts with that of all below it: the process itself unless given. What this
	// process has counts in any case.
	Root int
}

// Wait waits for a process that was started. When a limit is reached, or the context ends, it kills the process with
// all that it started, and returns a [*Reached] or the context's error; else it returns what [exec.Cmd.Wait] does.
func (p *Process) Wait(ctx context.Context) error {
	pid := p.Cmd.Process.Pid
	ended := make(chan error, 1)
	go func() { ended <- p.Cmd.Wait() }()
	kill := func(why error) error {
		Kill(pid)
		<-ended // it was killed
		return why
	}
	watched := &watch{root: cmp.Or(p.Root, pid)}
	var deadline <-chan time.Time
	if p.Limits.Time > 0 {
		timer := time.NewTimer(p.Limits.Time)
		defer timer.Stop()
		deadline = timer.C
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			if full := p.full(); full != nil {
				return full
			}
			return err
		case <-ctx.Done():
			return kill(ctx.Err())
		case <-deadline:
			return kill(OverTime(p.Limits.Time))
		case <-tick.C:
			if p.Limits.Memory > 0 && watched.memory() > p.Limits.Memory-p.Limits.Memory/16 {
				return kill(OverMemory(p.Limits.Memory))
			}
			if full := p.full(); full != nil {
				return kill(full)
			}
		}
	}
}

// full is an error when a file has become too large.
func (p *Process) full() error {
	for _, f := range p.Files {
		if info, err := f.Stat(); p.Limits.Output > 0 && (err != nil || info.Size() > p.Limits.Output) {
			return OverOutput(p.Limits.Output)
		}
	}
	return nil
}
