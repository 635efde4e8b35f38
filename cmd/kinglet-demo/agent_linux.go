package main

import "syscall"

// childAttributes keeps Ctrl-C from the child, which is stopped in its turn,
// and ends it should the demo be killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
