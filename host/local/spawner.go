package local

import (
	"os/exec"
	"runtime"
	"syscall"
)

// spawner starts processes from one thread that stays as long as they run. The
// kernel ends a process that asked to die with its parent when the thread that
// started it ends, and Go ends threads when it likes (golang.org/issue/27505).
type spawner struct {
	commands chan *exec.Cmd
	started  chan error
}

func newSpawner() *spawner {
	s := &spawner{make(chan *exec.Cmd), make(chan error)}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this function
		for cmd := range s.commands {
			s.started <- cmd.Start()
		}
	}()
	return s
}

// start is cmd.Start. One caller at a time.
func (s *spawner) start(cmd *exec.Cmd) error { return s.startAs(cmd, nil) }

// startAs is start as another user.
func (s *spawner) startAs(cmd *exec.Cmd, user *syscall.Credential) error {
	cmd.SysProcAttr = attributes()
	cmd.SysProcAttr.Credential = user
	s.commands <- cmd
	return <-s.started
}

// close ends the thread, and with it what still runs.
func (s *spawner) close() { close(s.commands) }
