//go:build !linux

package supervise

import (
	"os"
	"os/exec"
)

// Elsewhere a process is alone: what it started is not stopped with it, and it outlives us if we are killed.

func setAttributes(*exec.Cmd) {}

func collect(cmd *exec.Cmd) error { return cmd.Wait() }

func terminate(cmd *exec.Cmd) {
	if cmd.Process.Signal(os.Interrupt) != nil {
		kill(cmd)
	}
}

func kill(cmd *exec.Cmd) { _ = cmd.Process.Kill() } // gone already is fine
