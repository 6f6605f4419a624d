//go:build !linux

package limit

import (
	"errors"
	"syscall"
)

// Supported reports whether processes can be watched here: that needs Linux.
const Supported = false

// Own, Adopt, DieWithParent, Kill and KillBelow need Linux.
func Own(int64) error                     { return errors.ErrUnsupported }
func Adopt() error                        { return errors.ErrUnsupported }
func DieWithParent() *syscall.SysProcAttr { return nil }
func Kill(int)                            {}
func KillBelow(int)                       {}

type watch struct{ root int }

func (*watch) memory() int64 { return 0 }
