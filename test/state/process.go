package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// process is a child: this program again, in another role.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser // takes orders, and is held open: its end tells the child that we are gone
	said  chan string    // its lines on stdout: that it is up, and that it stops itself
	dead  chan struct{}  // closed when it has ended
	err   error          // how; read after dead
}

// start runs a role. What it prints on stderr is added to the log file.
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
	p := &process{cmd: exec.Command(self), said: make(chan string, 8), dead: make(chan struct{})} //nolint:noctx // its end is the subject here
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
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		select {
		case p.said <- lines.Text():
		default: // a pipe nobody reads would stop the child
		}
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

// tell gives it an order.
func (p *process) tell(order string) error {
	if _, err := fmt.Fprintln(p.stdin, order); err != nil {
		return fmt.Errorf("tell process %q: %w", order, err)
	}
	return nil
}

// hear waits until it says a certain line.
func (p *process) hear(ctx context.Context, want string) error {
	for {
		select {
		case line := <-p.said:
			if line == want {
				return nil
			}
		case <-p.dead:
			return fmt.Errorf("wait for process to say %q: it ended: %w", want, p.err)
		case <-ctx.Done():
			return fmt.Errorf("wait for process to say %q: %w", want, ctx.Err())
		}
	}
}

// kill ends it the hard way and waits until it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // gone already is as good
	<-p.dead
	_ = p.stdin.Close()
}

// suspend stops it where it stands, with its connections open; resume lets it go on.
func (p *process) suspend() { _ = p.cmd.Process.Signal(syscall.SIGSTOP) }
func (p *process) resume()  { _ = p.cmd.Process.Signal(syscall.SIGCONT) }

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

// killedItself says whether it ended by a signal.
func (p *process) killedItself() bool {
	return p.cmd.ProcessState != nil && !p.cmd.ProcessState.Exited()
}

// reached waits until it has killed itself, or says that it stops itself. What it says before that is for up.
func (p *process) reached(ctx context.Context, how faultKind, up func(string)) bool {
	for {
		select {
		case <-p.dead:
			return how == stepKill && p.killedItself()
		case line := <-p.said:
			if line == sayStops {
				return true
			}
			up(line)
		case <-ctx.Done():
			return false
		}
	}
}
