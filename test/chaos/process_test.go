package chaos_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ravenswood.dev/internal/broker"
	"ravenswood.dev/internal/cli"
	"ravenswood.dev/internal/component/all"
	"ravenswood.dev/internal/node"
)

// The environment of a child process.
const (
	envRole    = "RAVEN_CHAOS_ROLE"    // broker or worker
	envDir     = "RAVEN_CHAOS_DIR"     // broker: its data; worker: the resource files
	envData    = "RAVEN_CHAOS_DATA"    // worker: its data
	envBrokers = "RAVEN_CHAOS_BROKERS" // broker: where to listen; worker: whom to ask, with commas between
	envID      = "RAVEN_CHAOS_ID"      // worker: its id, the same in all its lives
)

// TestMain lets this binary be what the tests start: the services of the example, a broker, a worker.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "example-service" {
		os.Exit(cli.Run(context.Background(), os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	}
	if role := os.Getenv(envRole); role != "" {
		os.Exit(play(role))
	}
	os.Exit(report(m.Run()))
}

// play is the main function of a child. It ends when its input ends: with whoever started it, however that dies.
func play(role string) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h := newHand()
	go func() { defer cancel(); h.obey(os.Stdin) }()
	begin := map[string]func(context.Context, *slog.Logger, *hand) error{"broker": playBroker, "worker": playWorker}[role]
	if err := begin(ctx, log, h); err != nil {
		fmt.Fprintf(os.Stderr, "play %s: %v\n", role, err)
		return 1
	}
	return 0
}

func playBroker(ctx context.Context, log *slog.Logger, _ *hand) error {
	b, err := broker.Start(ctx, broker.Options{
		Dir: os.Getenv(envDir), Listener: broker.Listener{Addr: os.Getenv(envBrokers)}, Log: log,
		Settings: map[string]string{"group.initial.rebalance.delay.ms": "0"},
	})
	if err != nil {
		return err
	}
	fmt.Println("up")
	<-ctx.Done()
	return b.Close()
}

// playWorker is `raven worker`, with a hand on the steps of its commits.
func playWorker(ctx context.Context, log *slog.Logger, h *hand) error {
	n, err := node.Up(ctx, node.Options{
		Dir: os.Getenv(envDir), Registry: all.Components(), Data: os.Getenv(envData),
		Brokers: strings.Split(os.Getenv(envBrokers), ","), ID: os.Getenv(envID), Admin: "127.0.0.1:0",
		Topologies: true, Output: os.Stderr, Log: log, At: h.at,
	})
	if err != nil {
		return err
	}
	fmt.Println("up", n.Admin())
	var ended error
	select {
	case <-ctx.Done():
	case ended = <-n.Ended():
	}
	return errors.Join(ended, n.Stop(), n.Failed())
}

// hand stops a worker at a step of its commit, as it is told on its input: "hold STEP", "go", "die STEP".
type hand struct {
	mu   sync.Mutex
	verb string // GUARDED_BY(mu)
	step string // GUARDED_BY(mu)
	goes chan struct{}
}

func newHand() *hand { return &hand{goes: make(chan struct{}, 1)} }

// obey reads orders until there are no more.
func (h *hand) obey(orders io.Reader) {
	for lines := bufio.NewScanner(orders); lines.Scan(); {
		verb, step, _ := strings.Cut(lines.Text(), " ")
		switch verb {
		case "quit":
			return
		case "go":
			h.goes <- struct{}{}
		default:
			h.mu.Lock()
			h.verb, h.step = verb, step
			h.mu.Unlock()
		}
	}
}

// at is called by the engine at every step of a commit. An order is obeyed once.
func (h *hand) at(step string) {
	h.mu.Lock()
	verb := h.verb
	if step != h.step {
		verb = ""
	}
	if verb != "" {
		h.verb, h.step = "", ""
	}
	h.mu.Unlock()
	switch verb {
	case "die":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "hold":
		fmt.Println("holds", step)
		<-h.goes
	}
}

// child is this binary again, in a role.
type child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	said  chan string   // its lines
	dead  chan struct{} // closed when it has ended
	err   error         // how; read after dead
}

// startChild starts a role; what it logs is added to a file.
func startChild(role, logFile string, env ...string) (*child, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	defer log.Close() // the process has its own
	c := &child{cmd: exec.Command(os.Args[0]), said: make(chan string, 16), dead: make(chan struct{})}
	c.cmd.Env = append(append(os.Environ(), envRole+"="+role), env...)
	c.cmd.Stderr = log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is for the test; it ends its children itself
	stdin, err1 := c.cmd.StdinPipe()
	stdout, err2 := c.cmd.StdoutPipe()
	if err := errors.Join(err1, err2, c.cmd.Start()); err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	c.stdin = stdin
	go c.watch(stdout)
	return c, nil
}

func (c *child) watch(stdout io.Reader) {
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		select {
		case c.said <- lines.Text():
		default: // nobody listens any more
		}
	}
	c.err = c.cmd.Wait()
	close(c.dead)
}

// tell gives an order.
func (c *child) tell(order string) error {
	_, err := fmt.Fprintln(c.stdin, order)
	return err
}

// await waits for a line that begins with a word and returns the rest.
func (c *child) await(ctx context.Context, word string) (string, error) {
	for {
		select {
		case line := <-c.said:
			if rest, ok := strings.CutPrefix(line, word); ok {
				return strings.TrimSpace(rest), nil
			}
		case <-c.dead:
			return "", fmt.Errorf("wait for %q: the process ended: %w", word, c.err)
		case <-ctx.Done():
			return "", fmt.Errorf("wait for %q: %w", word, ctx.Err())
		}
	}
}

func (c *child) signal(s syscall.Signal) { _ = c.cmd.Process.Signal(s) } // gone already is as good

// kill ends it the hard way and waits until it is gone.
func (c *child) kill() {
	c.signal(syscall.SIGKILL)
	<-c.dead
	_ = c.stdin.Close()
}

// stop asks it to end, and kills it if that takes too long.
func (c *child) stop() error {
	if err := c.tell("quit"); err != nil {
		c.kill()
		return fmt.Errorf("stop process: it was gone: %w", c.err)
	}
	select {
	case <-c.dead:
		return c.err
	case <-time.After(30 * time.Second):
		c.kill()
		return errors.New("stop process: still there after 30s")
	}
}
