//go:build !linux

package local

import "syscall"

// attributes are the system's defaults: dying with the parent is Linux's alone.
func attributes() *syscall.SysProcAttr { return nil }
