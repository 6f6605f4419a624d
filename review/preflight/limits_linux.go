package preflight

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// LimitsOfThisMachine are those of the kernel for this process.
func LimitsOfThisMachine() (out Limits) {
	if data, err := os.ReadFile("/proc/sys/fs/inotify/max_user_instances"); err == nil {
		out.Inotify, _ = strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64) // 0 where it is no number
	}
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) == nil {
		out.Files = files.Max // Envoy and Go raise theirs to it
	}
	return out
}
