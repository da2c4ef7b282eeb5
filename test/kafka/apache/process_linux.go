package apache

import (
	"os/exec"
	"syscall"
)

// detach keeps a Ctrl-C away from the broker. Unless it is to stay, the kernel ends it with us.
func detach(cmd *exec.Cmd, stay bool) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if !stay {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
}
