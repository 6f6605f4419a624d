package limit

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLimits runs shells that take too much of something, by themselves or by what they start: each ends at its limit,
// and with it all that it started.
func TestLimits(t *testing.T) {
	if err := Adopt(); err != nil {
		t.Fatal(err)
	}
	none := Limits{Time: time.Minute, Memory: 1 << 40, Output: 1 << 40}
	with := func(change func(*Limits)) Limits {
		l := none
		change(&l)
		return l
	}
	const grow = `a=xxxxxxxxxxxxxxxx; while :; do a=$a$a; done`
	for name, c := range map[string]struct {
		script string
		limits Limits
		want   string
	}{
		"time": {
			`while :; do :; done`, with(func(l *Limits) { l.Time = 100 * time.Millisecond }),
			"takes longer than 100ms",
		},
		"time of one it waits for": {
			`sleep 1000`, with(func(l *Limits) { l.Time = 100 * time.Millisecond }),
			"takes longer than 100ms",
		},
		"memory": {
			grow, with(func(l *Limits) { l.Memory = 64 << 20 }),
			"needs more than 64 MiB of memory",
		},
		"memory of one it started": {
			`sh -c '` + grow + `' & wait`, with(func(l *Limits) { l.Memory = 64 << 20 }),
			"needs more than 64 MiB of memory",
		},
		"memory of one that is left": {
			`(sh -c '` + grow + `' &) ; sleep 1000`,
			with(func(l *Limits) { l.Memory = 64 << 20 }), "needs more than 64 MiB of memory",
		},
		"output": {
			`while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done`,
			with(func(l *Limits) { l.Output = 1 << 20 }), "comes to more than 1 MiB",
		},
		"nothing":          {`exit 0`, none, ""},
		"its own end":      {`exit 3`, none, "exit status 3"},
		"one that is left": {`sleep 1000 & exit 0`, none, ""},
	} {
		out, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sh", "-c", c.script)
		cmd.Stdout, cmd.SysProcAttr = out, DieWithParent()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := (&Process{Cmd: cmd, Limits: c.limits, Files: []*os.File{out}, Root: os.Getpid()}).
			Wait(context.Background()); err != nil {
			got = err.Error()
			var reached *Reached
			if errors.As(err, &reached) != (!strings.HasPrefix(got, "exit")) {
				t.Errorf("%s: %T", name, err)
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		KillBelow(os.Getpid())
		for _, pid := range tree(os.Getpid())[1:] {
			if state(pid) != 'Z' {
				t.Errorf("%s: process %d goes on: %c", name, pid, state(pid))
			}
		}
		out.Close()
	}
}
