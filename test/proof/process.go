package proof

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

// Process is a child: this program again, in another role. Its methods may be called concurrently.
type Process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser // takes orders, and is held open: its end tells the child that we are gone
	began time.Time
	up    atomic.Int64 // nanoseconds from the start to the first line; 0 before that
	said  chan string
	dead  chan struct{}
	err   error // read after dead
}

// lines is how many lines of a child are kept for somebody to read them.
const lines = 8

// Start runs a role in a process group of its own, so that Ctrl-C is for the harness alone. What it prints on stderr is
// added to the log file.
func Start(role, logFile string, env ...string) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	defer log.Close()
	p := &Process{cmd: exec.Command(self), began: time.Now(), said: make(chan string, lines), dead: make(chan struct{})} //nolint:noctx // its end is the subject here
	p.cmd.Env = append(append(os.Environ(), envRole+"="+role), env...)
	p.cmd.Stderr = log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err1 := p.cmd.StdinPipe()
	stdout, err2 := p.cmd.StdoutPipe()
	if err := errors.Join(err1, err2, p.cmd.Start()); err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	p.stdin = stdin
	go p.watch(stdout)
	return p, nil
}

func (p *Process) watch(stdout io.Reader) {
	for said := bufio.NewScanner(stdout); said.Scan(); {
		p.up.CompareAndSwap(0, int64(max(1, time.Since(p.began))))
		select {
		case p.said <- said.Text():
		default: // a pipe nobody reads would stop the child
		}
	}
	p.err = p.cmd.Wait()
	close(p.dead)
}

// Said are its lines on stdout; those that nobody takes are lost but for the first few.
func (p *Process) Said() <-chan string { return p.said }

// Dead is closed when it has ended.
func (p *Process) Dead() <-chan struct{} { return p.dead }

// Err is how it ended: nil if in order, or if it has not.
func (p *Process) Err() error {
	select {
	case <-p.dead:
		return p.err
	default:
		return nil
	}
}

// Signalled says whether it has ended by a signal, its own or another's.
func (p *Process) Signalled() bool {
	select {
	case <-p.dead:
		return p.cmd.ProcessState != nil && !p.cmd.ProcessState.Exited()
	default:
		return false
	}
}

// UpAfter is the time from its start to its first line; 0 if there was none yet.
func (p *Process) UpAfter() time.Duration { return time.Duration(p.up.Load()) }

// FirstLine waits for the line by which a child says that it is up.
func (p *Process) FirstLine(ctx context.Context) (string, error) {
	line, err := p.next(ctx)
	if err != nil {
		return "", fmt.Errorf("start process: %w", err)
	}
	return line, nil
}

// Tell gives it an order.
func (p *Process) Tell(order string) error {
	if _, err := fmt.Fprintln(p.stdin, order); err != nil {
		return fmt.Errorf("tell process %q: %w", order, err)
	}
	return nil
}

// Hear waits until it says a certain line; others before it are lost.
func (p *Process) Hear(ctx context.Context, want string) error {
	for {
		line, err := p.next(ctx)
		if err != nil {
			return fmt.Errorf("wait for process to say %q: %w", want, err)
		}
		if line == want {
			return nil
		}
	}
}

// next is its next line. What it said comes before the news that it has ended.
func (p *Process) next(ctx context.Context) (string, error) {
	select {
	case line := <-p.said:
		return line, nil
	case <-ctx.Done():
		return "", ctx.Err()
	case <-p.dead:
	}
	select {
	case line := <-p.said:
		return line, nil
	default:
	}
	if p.err == nil {
		return "", errors.New("it ended")
	}
	return "", fmt.Errorf("it ended: %w", p.err)
}

// Kill ends it the hard way and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // gone already is as good
	<-p.dead
	_ = p.stdin.Close()
}

// Suspend stops it where it stands, with its connections open.
func (p *Process) Suspend() { _ = p.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (p *Process) Resume() { _ = p.cmd.Process.Signal(syscall.SIGCONT) }

// Stop asks it to end, and kills it if that takes longer than the bound.
func (p *Process) Stop(bound time.Duration) error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.dead:
		_ = p.stdin.Close()
		return p.err
	case <-time.After(bound):
		p.Kill()
		return fmt.Errorf("stop process: still there after %s", bound)
	}
}
