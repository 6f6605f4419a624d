package local

import "syscall"

// attributes make a process die with the thread that started it, in whatever
// way that ends, and keep a terminal's Ctrl-C from it: who started it stops it.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
