package supervise

import (
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// setAttributes puts the process into a group of its own, so that a Ctrl-C in the terminal reaches only us and we stop
// it in order, and has the kernel kill it if we die.
func setAttributes(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// collect waits until the process has ended, kills what it started and left behind, and reads the rest of what was
// printed. Until cmd.Wait nobody else can get the process's number, so that its group is surely the one that is killed.
func collect(cmd *exec.Cmd) error {
	for unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	kill(cmd)
	return cmd.Wait()
}

// terminate asks the process and what it started to end.
func terminate(cmd *exec.Cmd) { _ = unix.Kill(-cmd.Process.Pid, unix.SIGTERM) } // gone already is fine

// kill ends the process and what it started.
func kill(cmd *exec.Cmd) { _ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL) } // gone already is fine
