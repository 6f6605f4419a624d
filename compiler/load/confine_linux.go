package load

import (
	"fmt"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

// allowed are the system calls that a Go program needs to compute, to read what it has open and to write to it. None
// of them opens, connects, starts or changes anything; of the file system it can only find out whether a file exists
// (seccomp(2)).
var allowed = []string{
	"read", "write", "readv", "writev", "close", "lseek", "fcntl", "fstat", "newfstatat", "statx", "readlinkat",
	"getcwd", "pipe2", "dup", "dup3",
	"mmap", "munmap", "mprotect", "madvise", "mremap", "mincore", "brk", "membarrier",
	"futex", "clone", "clone3", "set_robust_list", "rseq", "set_tid_address", "gettid", "getpid", "tgkill", "tkill",
	"exit", "exit_group",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall",
	"nanosleep", "clock_nanosleep", "clock_gettime", "clock_getres", "gettimeofday", "sched_yield", "sched_getaffinity",
	"timer_create", "timer_settime", "timer_delete", "setitimer", "epoll_create1", "epoll_ctl", "epoll_pwait",
	"epoll_wait", "eventfd2", "poll", "ppoll",
	"getrandom", "prctl", "getrlimit", "prlimit64", "uname", "getuid", "geteuid", "getgid", "getegid",
}

// headroom is the memory, in bytes, that the process maps in addition to what it computes with.
const headroom = 512 << 20

// confine drops what evaluation does not need, for all threads and permanently: files, sockets, other programs, and
// memory beyond the limit.
func confine(memory int64) error {
	for resource, limit := range map[int]uint64{
		unix.RLIMIT_DATA: uint64(memory) + headroom, unix.RLIMIT_FSIZE: 0,
		unix.RLIMIT_CORE: 0, unix.RLIMIT_NOFILE: 64,
	} {
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
			return fmt.Errorf("the process for the evaluation cannot be confined: %w", err)
		}
	}
	machine, err := arch.GetInfo("")
	if err != nil {
		return fmt.Errorf("the process for the evaluation cannot be confined: %w", err)
	}
	known := make([]string, 0, len(allowed))
	for _, name := range allowed { // some machines have not all of them
		if _, ok := machine.SyscallNames[name]; ok {
			known = append(known, name)
		}
	}
	filter := seccomp.Filter{
		NoNewPrivs: true,
		Flag:       seccomp.FilterFlagTSync,
		Policy: seccomp.Policy{
			DefaultAction: seccomp.ActionErrno,
			Syscalls: []seccomp.SyscallGroup{
				{Action: seccomp.ActionAllow, Names: known},
				// CUE's loader looks for files that it is not shown, and takes this for no.
				{Action: seccomp.ActionErrno | seccomp.Action(unix.ENOENT), Names: []string{"openat"}},
			},
		},
	}
	if err := seccomp.LoadFilter(filter); err != nil {
		return fmt.Errorf("the process for the evaluation cannot be confined: %w", err)
	}
	return nil
}
