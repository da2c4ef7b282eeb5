package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"
)

// process is a child: this program again, in another role.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer // held open; its end tells the child that we are gone
	began time.Time
	said  chan string
	upMS  atomic.Int64  // from the start to what it said; 0 before that
	dead  chan struct{} // closed when it has ended
	err   error         // how; read after dead
}

// start runs a role. What it prints on stderr goes to the log file, its first line on stdout to said.
func start(role, logFile string, env ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	defer log.Close()
	p := &process{cmd: exec.Command(self), began: time.Now(), said: make(chan string, 1), dead: make(chan struct{})} //nolint:noctx // its end is the subject here
	p.cmd.Env = append(append(os.Environ(), envRole+"="+role), env...)
	p.cmd.Stderr = log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the harness; it stops its children itself
	stdin, err1 := p.cmd.StdinPipe()
	stdout, err2 := p.cmd.StdoutPipe()
	if err := errors.Join(err1, err2, p.cmd.Start()); err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	p.stdin = stdin
	go p.watch(stdout)
	return p, nil
}

func (p *process) watch(stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	if lines.Scan() {
		p.upMS.Store(max(1, time.Since(p.began).Milliseconds()))
		p.said <- lines.Text()
	}
	for lines.Scan() {
		continue // a pipe nobody reads would stop the child
	}
	p.err = p.cmd.Wait()
	close(p.dead)
}

// firstLine waits for the line by which a child says that it is up.
func (p *process) firstLine(ctx context.Context) (string, error) {
	select {
	case line := <-p.said:
		return line, nil
	case <-p.dead:
		return "", fmt.Errorf("start process: it ended at once: %w", p.err)
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// kill ends it the hard way and waits until it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // gone already is as good
	<-p.dead
	_ = p.stdin.Close()
}

// pause stops it for a while, as a machine does that swaps or is moved. It returns early if ctx is done.
func (p *process) pause(ctx context.Context, d time.Duration) {
	_ = p.cmd.Process.Signal(syscall.SIGSTOP)
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
}

// stop asks it to end, and kills it if that takes longer than the bound.
func (p *process) stop(bound time.Duration) error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.dead:
		_ = p.stdin.Close()
		return p.err
	case <-time.After(bound):
		p.kill()
		return fmt.Errorf("stop process: still there after %s", bound)
	}
}
