package local

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/program"
)

// Envoy finds the Envoy binary: the one that is named, else $ENVOY, else "envoy" in PATH, else the one beside this
// executable. One in the directory outside, a tree that is reviewed, is an error wherever it was named; an empty
// outside refuses none.
func Envoy(named, outside string) (string, error) {
	if named == "" {
		named = os.Getenv("ENVOY")
	}
	if named != "" {
		if _, err := os.Stat(named); err != nil {
			return "", fmt.Errorf("the Envoy that was named: %w", err)
		}
		return named, program.Outside(named, outside)
	}
	if _, err := exec.LookPath("envoy"); !errors.Is(err, exec.ErrNotFound) {
		return program.Find("envoy", outside)
	}
	if own, err := os.Executable(); err == nil {
		path := filepath.Join(filepath.Dir(own), "envoy")
		if _, err := os.Stat(path); err == nil {
			return path, program.Outside(path, outside)
		}
	}
	return "", errors.New("there is no Envoy: set $ENVOY, or put envoy into PATH or beside meshc")
}

// process is a running Envoy.
type process struct {
	admin  string // IP:PORT
	log    string // file
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // why it exited; read it after exited is closed
}

// flags are those of an Envoy that a spec can say.
type flags struct {
	drain    time.Duration
	threads  uint16
	logLevel string
}

// flagsOf are those of the proxies of a member. One thread is enough for one user, and what is wrong is all that they
// say about themselves, unless the spec says otherwise.
func flagsOf(p *ir.Proxy) flags {
	return flags{time.Duration(p.DrainTime), cmp.Or(p.Concurrency, 1), cmp.Or(p.LogLevel, "warning")}
}

// run starts an Envoy on that bootstrap. Its log goes to the file.
func (s *spawner) run(envoy, bootstrap, log, admin string, f flags) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	// Hot restart would want a shared memory region of its own for each.
	cmd := exec.Command(envoy, "-c", // #nosec G204 -- the Envoy that the caller names
		bootstrap, "--concurrency", strconv.Itoa(int(f.threads)), "--disable-hot-restart", "--log-level", f.logLevel,
		"--drain-time-s", strconv.Itoa(int(f.drain/time.Second)),
		// Lines of access logs are to be seen soon; by default after 10 seconds.
		"--file-flush-interval-msec", "250")
	cmd.Stdout, cmd.Stderr = out, out
	if err := s.start(cmd); err != nil {
		return nil, err
	}
	p := &process{admin: admin, log: log, cmd: cmd, exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// poll is how often a condition is looked at.
const poll = 10 * time.Millisecond

// ready waits until the Envoy says that it is (Envoy, administration interface,
// GET /ready).
func (p *process) ready(ctx context.Context, client *http.Client) error {
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.admin+"/ready", nil)
		if err != nil {
			return err
		}
		if answer, err := client.Do(r); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.exited:
			if strings.Contains(ends(p.log), "max_user_instances") {
				return errors.New(
					"the kernel has no more instances of inotify for this user, by which Envoy watches its certificates: sudo sysctl fs.inotify.max_user_instances=1024")
			}
			return fmt.Errorf("it ended: %w; its log %s ends with:\n%s", cause(p.err), p.log, tail(p.log))
		case <-ctx.Done():
			return fmt.Errorf("it is not ready: %w; its log %s ends with:\n%s", context.Cause(ctx), p.log, tail(p.log))
		case <-time.After(poll):
		}
	}
}

// running reports whether the process is there.
func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// patience is how long a process may take to end before it is killed.
const patience = 5 * time.Second

// stop ends the process and waits until it is gone.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may be gone already
	select {
	case <-p.exited:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

func cause(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// ends is the end of a log, a few pages of it.
func ends(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return string(data[max(0, len(data)-16<<10):])
}

// tail is the last lines of a log.
func tail(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(bytes.ToValidUTF8(data, []byte("?")))), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}
