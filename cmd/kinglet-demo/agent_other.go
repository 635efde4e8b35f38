//go:build !linux

package main

import "syscall"

// childAttributes keeps Ctrl-C from the child, which is stopped in its turn.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
