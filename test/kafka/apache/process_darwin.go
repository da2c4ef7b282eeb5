package apache

import (
	"os/exec"
	"syscall"
)

// detach keeps a Ctrl-C away from the broker. Here nobody ends it if we are killed.
func detach(cmd *exec.Cmd, _ bool) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
