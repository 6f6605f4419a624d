package limit

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Supported reports whether processes can be watched here.
const Supported = true

// headroom is what a Go process maps besides what it computes with, in bytes.
const headroom = 512 << 20

// Own holds this process to so much memory, as the last resort when it grows faster than somebody looks, and lets it
// leave no core behind. It collects garbage the harder the nearer it comes.
func Own(memory int64) error {
	debug.SetMemoryLimit(memory / 10 * 8)
	bound := uint64(memory) + headroom // #nosec G115 -- a size is positive
	for resource, value := range map[int]uint64{unix.RLIMIT_DATA: bound, unix.RLIMIT_CORE: 0} {
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: value, Max: value}); err != nil {
			return fmt.Errorf("the process cannot be held to its limits: %w", err)
		}
	}
	return nil
}

// Adopt makes this process the parent of those below it whose parents end, so that none of all below it is missed.
func Adopt() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// DieWithParent are the attributes of a process that is killed when the thread that started it ends.
func DieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// watch looks at the memory of a process, all below it, and this one.
type watch struct {
	root  int
	known []int // processes, as of the last time when they were looked for
	looks int
}

// lookEvery is after how many looks at the memory processes are looked for: one that is younger has little.
const lookEvery = 10

// memory is what they have resident, in bytes; what several have of files counts once.
func (w *watch) memory() int64 {
	if w.looks%lookEvery == 0 {
		w.known = tree(w.root)
		if self := os.Getpid(); w.root != self {
			w.known = append(w.known, self)
		}
	}
	w.looks++
	var private, shared int64
	for _, p := range w.known {
		all, ofFiles := resident(p)
		private += all - ofFiles
		shared = max(shared, ofFiles)
	}
	return private + shared
}

// Kill ends a process and all below it. What they start meanwhile is ended too.
func Kill(pid int) { kill(func() []int { return tree(pid) }) }

// KillBelow ends all that a process started, and what that started.
func KillBelow(pid int) { kill(func() []int { return tree(pid)[1:] }) }

func kill(list func() []int) {
	for range 100 { // one that is stopped starts nothing more
		fresh := false
		for _, p := range list() {
			if s := state(p); s != 'T' && s != 'Z' && syscall.Kill(p, syscall.SIGSTOP) == nil {
				fresh = true
			}
		}
		if !fresh {
			break
		}
	}
	all := list()
	for _, p := range slices.Backward(all) {
		_ = syscall.Kill(p, syscall.SIGKILL) // it may have ended
	}
	for range 1000 { // to give much memory back takes a while
		if all = slices.DeleteFunc(all, func(p int) bool { return state(p) == 'Z' }); len(all) == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// tree is a process and all below it, parents first (proc_pid_task_tid_children(5)).
func tree(pid int) []int {
	out := []int{pid}
	for i := 0; i < len(out); i++ {
		tasks := "/proc/" + strconv.Itoa(out[i]) + "/task/"
		threads, _ := os.ReadDir(tasks) // it may have ended
		for _, thread := range threads {
			data, err := os.ReadFile(tasks + thread.Name() + "/children")
			if err != nil {
				continue // so may the thread
			}
			for _, field := range strings.Fields(string(data)) {
				if child, err := strconv.Atoi(field); err == nil {
					out = append(out, child)
				}
			}
		}
	}
	return out
}

// state is the letter of what a process does (proc_pid_stat(5)); 'Z', as of one that has ended, also for one that is
// gone.
func state(pid int) byte {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	at := strings.LastIndexByte(string(data), ')')
	if err != nil || at < 0 || at+2 >= len(data) {
		return 'Z'
	}
	return data[at+2]
}

// resident is how much memory a process has, and how much of that is of files (proc_pid_statm(5)), in bytes; 0 when it
// is gone.
func resident(pid int) (all, ofFiles int64) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0, 0
	}
	fields := strings.Fields(string(data))
	if len(fields) < 3 {
		return 0, 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	shared, _ := strconv.ParseInt(fields[2], 10, 64)
	size := int64(os.Getpagesize())
	return pages * size, shared * size
}
