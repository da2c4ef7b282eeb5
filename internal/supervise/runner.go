package supervise

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// killWait is how long a killed process may take to be gone before we stop waiting for what it printed.
const killWait = 2 * time.Second

// runner keeps one process running. Its goroutine alone moves the machine; the mutex is for those who look.
type runner struct {
	crew       *crew
	process    Process
	command    string
	env        []string
	lines      *lines
	done       chan struct{} // closed when run has returned
	firstReady chan struct{} // closed when the process is ready for the first time

	mu      sync.Mutex
	machine machine
}

// run lives through one run of the process after another until ctx is done.
func (r *runner) run(ctx context.Context) {
	defer close(r.done)
	defer func() { r.step(func(m *machine) { m.becomeStopped(time.Now()) }) }()
	for {
		cause := r.live(ctx)
		if ctx.Err() == nil && r.pause(ctx, cause) {
			continue
		}
		r.step(func(m *machine) {
			if m.state != Stopping { // live saw nothing of the stop: it came after the run had ended
				m.becomeStopping(time.Now())
			}
		})
		return
	}
}

// pause waits for the next start; false if there will be none.
func (r *runner) pause(ctx context.Context, cause string) bool {
	var pause time.Duration
	r.step(func(m *machine) { pause = m.becomeBackoff(time.Now(), cause, rand.Float64()) })
	r.crew.opts.Log.Warn("service process ended, it starts again", "process", r.process.Name(), "err", cause, "pause", pause.Round(time.Millisecond))
	return wait(ctx, pause)
}

func (r *runner) step(move func(*machine)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	move(&r.machine)
}

func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// life is one run of the process.
type life struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process is gone and all it printed is read
	err   error         // how it ended; set before ended is closed
}

// live is one run of the process, from its start to its end; it returns why it ended. When ctx is done it stops the
// process and leaves the machine in Stopping.
func (r *runner) live(ctx context.Context) (cause string) {
	r.step(func(m *machine) { m.becomeStarting(time.Now()) })
	port, err := r.crew.ports.take()
	if err != nil {
		return err.Error()
	}
	defer r.crew.ports.give(port)
	url := "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	l, err := r.start(port, url)
	if err != nil {
		return err.Error()
	}
	if err = r.awaitHealth(ctx, url, l); err == nil {
		r.serve(ctx, url, l)
	}
	r.stop(ctx, l)
	return r.causeOf(err, l)
}

// serve is the time in which a process is ready: from its health's answer to its end, or ours.
func (r *runner) serve(ctx context.Context, url string, l *life) {
	r.step(func(m *machine) { m.becomeReady(time.Now()) })
	r.crew.opts.Log.Debug("service process is ready", "process", r.process.Name(), "url", url)
	if r.crew.opts.OnEndpoint != nil {
		r.crew.opts.OnEndpoint(r.process.Service, r.process.Version, url)
	}
	r.tellFirst()
	select {
	case <-l.ended:
	case <-ctx.Done():
	}
	if r.crew.opts.OnDown != nil {
		r.crew.opts.OnDown(r.process.Service, r.process.Version)
	}
}

// causeOf says why a run ended, with the last thing the process said.
func (r *runner) causeOf(notReady error, l *life) string {
	r.lines.flush()
	cause := "the process ended"
	switch {
	case notReady != nil && !errors.Is(notReady, errEnded):
		cause = notReady.Error()
	case l.err != nil:
		cause += ": " + l.err.Error()
	}
	if said := r.lines.last(); len(said) > 0 {
		last := said[len(said)-1]
		cause += fmt.Sprintf("; it last said %q", last[:min(len(last), 200)])
	}
	return cause
}

func (r *runner) tellFirst() {
	select {
	case <-r.firstReady:
	default:
		close(r.firstReady)
	}
}

// stop asks the process to end, then kills it. One that has ended is fine.
func (r *runner) stop(ctx context.Context, l *life) {
	if ctx.Err() != nil {
		r.step(func(m *machine) { m.becomeStopping(time.Now()) })
	}
	select {
	case <-l.ended:
		return
	default:
	}
	terminate(l.cmd)
	timer := time.NewTimer(r.process.Stop)
	defer timer.Stop()
	select {
	case <-l.ended:
		return
	case <-timer.C:
	}
	r.crew.opts.Log.Warn("service process did not stop in time, it is killed", "process", r.process.Name(), "stopTimeout", r.process.Stop)
	kill(l.cmd)
	<-l.ended
}

// start starts the process on the thread that outlives all processes; see startThread.
func (r *runner) start(port int, url string) (*life, error) {
	cmd := exec.Command(r.command, r.arguments(port)...) //nolint:noctx // a process is ended in steps, not by a context
	cmd.Dir = r.process.Dir
	cmd.Env = append(append(os.Environ(), r.env...), "PORT="+strconv.Itoa(port))
	cmd.Stdout, cmd.Stderr = r.lines, r.lines
	cmd.WaitDelay = killWait
	setAttributes(cmd)
	started := make(chan error)
	r.crew.starts <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start command: %w", err)
	}
	r.step(func(m *machine) { m.started(cmd.Process.Pid, url) })
	l := &life{cmd: cmd, ended: make(chan struct{})}
	go func() {
		defer close(l.ended)
		l.err = collect(cmd)
	}()
	return l, nil
}

func (r *runner) arguments(port int) []string {
	fill := strings.NewReplacer("${PORT}", strconv.Itoa(port), "$PORT", strconv.Itoa(port))
	var args []string
	for _, a := range r.process.Command[1:] {
		args = append(args, fill.Replace(a))
	}
	return args
}

// errEnded says that a process ended before it was ready.
var errEnded = errors.New("the process ended before it was ready")

// awaitHealth asks the health path until it answers 200.
func (r *runner) awaitHealth(ctx context.Context, url string, l *life) error {
	ctx, cancel := context.WithTimeout(ctx, r.process.Start)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true} // no proxy: it is this machine
	defer transport.CloseIdleConnections()
	for pause := 5 * time.Millisecond; ; pause = min(pause*2, 250*time.Millisecond) {
		last := askHealth(ctx, transport, url+"/"+strings.TrimPrefix(r.process.Health, "/"))
		if last == nil {
			return l.stillThere()
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-l.ended:
			return errEnded
		case <-ctx.Done():
			return fmt.Errorf("not ready within %s: %w", r.process.Start, last)
		}
	}
}

// stillThere guards against another program that answers on our port while our process could not get it.
func (l *life) stillThere() error {
	select {
	case <-l.ended:
		return errEnded
	default:
		return nil
	}
}

func askHealth(ctx context.Context, transport http.RoundTripper, url string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("ask health path %q: %w", url, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask health path %q: answered %s", url, resp.Status)
	}
	return nil
}

func (r *runner) status() Status {
	r.mu.Lock()
	m := r.machine
	r.mu.Unlock()
	return Status{
		Service: r.process.Service, Version: r.process.Version, State: string(m.state), Since: m.since,
		PID: m.pid, URL: m.url, Restarts: m.restarts, Error: m.cause, Output: r.lines.last(),
	}
}
