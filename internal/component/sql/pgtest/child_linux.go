package pgtest

import "syscall"

// childAttr makes the server end with the test, even if the test is killed.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT} }
