package load

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/limit"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

// Apart evaluates units in a sandbox: a child process for specs of people who are not trusted. CUE cannot be
// interrupted, and nine lines of CUE can need all memory of a machine. The process gets the files that were read, and
// cannot open files or connections (see [RunApart]).
type Apart struct {
	// Command returns the command of the child process, which must call [RunApart].
	Command func() *exec.Cmd
	// Limits apply to this process and the child process together.
	Limits limit.Limits
	// Until is the deadline; zero means Limits.Time from now.
	Until time.Time
}

// handed is what the sandbox process reads from its standard input.
type handed struct {
	Files  map[string][]byte
	Units  []handedUnit
	Tags   []string
	Memory int64
}

type handedUnit struct {
	Dir, Package string
	Files        []string
}

// returned is what the sandbox process writes to its standard output for one unit.
type returned struct {
	Spec    *spec.Unit
	Found   diag.List
	Lost    []string
	LostAll bool
}

// evaluateApart evaluates the units in the sandbox process. Reaching a limit is a finding.
func (m *Module) evaluateApart(ctx context.Context, a *Apart, units []Unit, tags []string) ([]Evaluated, error) {
	in := handed{Files: map[string][]byte{}, Tags: tags, Memory: a.Limits.Memory}
	for name, f := range m.files {
		if !f.bad {
			in.Files[name] = f.data
		}
	}
	for _, u := range units {
		in.Units = append(in.Units, handedUnit{u.Dir, u.pkg, u.Files})
	}
	var stdin bytes.Buffer
	if err := gob.NewEncoder(&stdin).Encode(in); err != nil {
		return nil, err
	}
	stdout := &boundedBuffer{limit: a.Limits.Output}
	stderr := &progress{}
	err := a.run(ctx, &stdin, stdout, stderr)
	var reached *limit.Reached
	switch {
	case err == nil:
		return decodeReturned(stdout.Bytes(), units)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case stdout.full:
		reached = limit.OverOutput(a.Limits.Output)
	case limit.OutOfMemory(stderr.text()):
		reached = limit.OverMemory(a.Limits.Memory)
	case !errors.As(err, &reached):
		return nil, fmt.Errorf("the process for the evaluation ended: %w: %s", err, stderr.text())
	}
	return overLimit(units, stderr.open(), reached), nil
}

// run runs the process until it ends or reaches a limit. It is killed if this process ends.
func (a *Apart) run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) error {
	runtime.LockOSThread() // it is this thread whose end the process would die of
	defer runtime.UnlockOSThread()
	cmd := a.Command()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	cmd.Env = append(os.Environ(), "GOTRACEBACK=none")
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = limit.DieWithParent()
	limits := a.Limits
	limits.Memory -= limits.Memory / 16 // whoever watches this process too is to find that one first
	if !a.Until.IsZero() {
		limits.Time = max(time.Until(a.Until), time.Millisecond)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("the process for the evaluation cannot be started: %w", err)
	}
	watched := &limit.Process{Cmd: cmd, Limits: limits}
	err := watched.Wait(ctx)
	var reached *limit.Reached
	switch {
	case !errors.As(err, &reached):
		return err
	case reached.Time():
		return limit.OverTime(a.Limits.Time)
	}
	return limit.OverMemory(a.Limits.Memory)
}

// overLimit returns findings for the units that were being evaluated when a limit was reached. Nothing is known about
// the other units.
func overLimit(units []Unit, open map[string]bool, reached *limit.Reached) []Evaluated {
	out := make([]Evaluated, len(units))
	for i, u := range units {
		out[i] = Evaluated{Unit: u, LostAll: true}
		if !open[u.Dir] && len(open) > 0 {
			continue
		}
		pos := source.Position{}
		if len(u.Files) > 0 {
			pos = source.Position{File: u.Files[len(u.Files)-1], Line: 1, Column: 1}
		}
		out[i].Found.Add(diag.New(diag.OverLimit, "", fmt.Sprintf("the evaluation of %s %s", unitName(u.Dir), reached),
			pos).
			WithHint(LimitHint))
	}
	return out
}

// LimitHint is the hint of a finding about a limit that was reached.
const LimitHint = "simplify it: values that multiply each other, or lists made of lists, grow without end; --max-time and --max-memory raise the limits"

func unitName(dir string) string {
	if dir == "." {
		return "the root"
	}
	return dir
}

func decodeReturned(data []byte, units []Unit) ([]Evaluated, error) {
	var list []returned
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&list); err != nil || len(list) != len(units) {
		return nil, errors.New("the process for the evaluation returned an unexpected result")
	}
	out := make([]Evaluated, len(units))
	for i, r := range list {
		if r.Spec != nil {
			r.Spec.Restore()
		}
		out[i] = Evaluated{Unit: units[i], Spec: r.Spec, Found: r.Found, Lost: r.Lost, LostAll: r.LostAll}
	}
	return out, nil
}

// RunApart is the main function of the child process of [Apart]: it drops all rights that evaluation does not need,
// evaluates the units that it reads from stdin, and writes the results to stdout.
func RunApart(stdin io.Reader, stdout, stderr io.Writer) error {
	var in handed
	if err := gob.NewDecoder(stdin).Decode(&in); err != nil {
		return errors.New("this command is internal: meshc runs it to evaluate specs that are not trusted")
	}
	debug.SetMemoryLimit(in.Memory / 10 * 8)
	m := &Module{files: map[string]*file{}}
	for name, data := range in.Files {
		m.files[name] = &file{path: name, data: data}
	}
	results := make([]Evaluated, len(in.Units))
	missing := make([]int, len(in.Units))
	for i, u := range in.Units {
		results[i].Unit = Unit{Dir: u.Dir, Files: u.Files, pkg: u.Package}
		missing[i] = i
	}
	if err := confine(in.Memory); err != nil {
		return err
	}
	var mu sync.Mutex
	m.tell = func(word, dir string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(stderr, "%s %s\n", word, strconv.Quote(dir))
	}
	if err := m.evaluateAll(context.Background(), results, missing, in.Tags); err != nil {
		return err
	}
	out := make([]returned, len(results))
	for i, r := range results {
		out[i] = returned{r.Spec, r.Found, r.Lost, r.LostAll}
	}
	return gob.NewEncoder(stdout).Encode(out)
}

// The words by which the process tells which units it is at.
const (
	beginWord = "begin"
	endWord   = "end"
)

// progress stores what the process prints, and which units it is evaluating.
type progress struct {
	mu sync.Mutex
	b  bytes.Buffer
}

const maxProgress = 16 << 20

func (p *progress) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.b.Len() < maxProgress {
		p.b.Write(data)
	}
	return len(data), nil
}

// open returns the units whose evaluation has begun but not ended.
func (p *progress) open() map[string]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]bool{}
	for line := range strings.Lines(p.b.String()) {
		word, quoted, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		dir, err := strconv.Unquote(quoted)
		switch {
		case err != nil:
		case word == beginWord:
			out[dir] = true
		case word == endWord:
			delete(out, dir)
		}
	}
	return out
}

// text returns the other output of the process.
func (p *progress) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for line := range strings.Lines(p.b.String()) {
		if !strings.HasPrefix(line, beginWord+" ") && !strings.HasPrefix(line, endWord+" ") {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return strings.Join(out, " ")
}

// boundedBuffer stores a limited number of bytes.
type boundedBuffer struct {
	bytes.Buffer
	limit int64
	full  bool
}

func (b *boundedBuffer) Write(data []byte) (int, error) {
	if int64(b.Len()+len(data)) > b.limit {
		b.full = true
		return 0, errors.New("too much")
	}
	return b.Buffer.Write(data)
}
