package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"

	"ravenswood.dev/api"
)

// Process is one local process to keep running.
type Process struct {
	Service string
	Version string
	Command []string          // $PORT in an argument is the port; "raven" as the first is this program
	Dir     string            // where it starts; empty is the current folder
	Env     map[string]string // beyond our own environment; "${NAME}" is taken from there
	Health  string            // path that answers 200 when it is ready
	Start   time.Duration     // how long that may take
	Stop    time.Duration     // how long it may take to end before it is killed
}

// Name is how a process is shown: service/version.
func (p *Process) Name() string { return p.Service + "/" + p.Version }

// ProcessesOf lists the processes of a service, relative folders read against dir.
func ProcessesOf(s *api.Service, dir string) []Process {
	var all []Process
	for _, v := range s.Spec.Versions {
		if len(v.Exec) == 0 {
			continue
		}
		p := Process{
			Service: s.Metadata.Name, Version: v.Name, Command: v.Exec, Dir: v.Dir, Env: v.Env,
			Health: v.Health, Start: time.Duration(v.Start), Stop: time.Duration(v.Stop),
		}
		if !filepath.IsAbs(p.Dir) {
			p.Dir = filepath.Join(dir, p.Dir)
		}
		all = append(all, p)
	}
	return all
}

// Options is what a Supervisor is given.
type Options struct {
	Processes []Process
	// OnEndpoint is told each time a process has become ready, and where.
	OnEndpoint func(service, version, url string)
	// OnDown is told each time a process that was ready is not there any more.
	OnDown func(service, version string)
	Log    *slog.Logger // nil: silent
	Output io.Writer    // what processes print, line by line with their names; nil: only kept for Status
}

// Supervisor keeps processes running. Make one with New and Run it once.
type Supervisor struct {
	runners []*runner
	ready   chan struct{}
}

// Status is one process now.
type Status struct {
	Service  string    `json:"service"`
	Version  string    `json:"version"`
	State    string    `json:"state"` // starting, ready, backoff, stopping, stopped
	Since    time.Time `json:"since"`
	PID      int       `json:"pid,omitempty"`
	URL      string    `json:"url,omitempty"`
	Restarts int       `json:"restarts"`
	Error    string    `json:"error,omitempty"` // why its last run ended, until it is ready again
	Output   []string  `json:"output,omitempty"`
}

// New checks that every process can be started: its command and folder exist, and its variables are set.
func New(opts Options) (*Supervisor, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	s := &Supervisor{ready: make(chan struct{})}
	together := &crew{opts: opts, output: &output{to: opts.Output}, ports: &ports{}, starts: make(chan func())}
	var errs []error
	for _, p := range opts.Processes {
		r, err := newRunner(p, together)
		if err != nil {
			errs = append(errs, fmt.Errorf("prepare process %q: %w", p.Name(), err))
			continue
		}
		s.runners = append(s.runners, r)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// crew is what the runners of one supervisor have in common.
type crew struct {
	opts   Options
	output *output
	ports  *ports
	starts chan func() // run on the one thread that may start processes; see startThread
}

func newRunner(p Process, s *crew) (*runner, error) {
	if len(p.Command) == 0 {
		return nil, errors.New("it has no command")
	}
	withDefaults(&p)
	command, err := findCommand(p.Command[0], p.Dir)
	if err != nil {
		return nil, err
	}
	env, err := environment(p.Env, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	return &runner{
		crew: s, process: p, command: command, env: env, done: make(chan struct{}), firstReady: make(chan struct{}),
		lines: newLines(p.Name(), s.output), machine: newMachine(time.Now()),
	}, nil
}

// withDefaults fills what a Process made in Go left out, by the values of package api.
func withDefaults(p *Process) {
	if p.Health == "" {
		p.Health = "/health"
	}
	if p.Start == 0 {
		p.Start = 30 * time.Second
	}
	if p.Stop == 0 {
		p.Stop = 5 * time.Second
	}
}

func findCommand(name, dir string) (string, error) {
	if dir != "" {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return "", fmt.Errorf("use folder %q: it is not there", dir)
		}
	}
	if name == "raven" {
		return os.Executable()
	}
	if strings.ContainsRune(name, filepath.Separator) && !filepath.IsAbs(name) {
		file, err := filepath.Abs(filepath.Join(dir, name)) // "./users" in "." is "users", which would be looked for in the PATH
		if err != nil {
			return "", fmt.Errorf("find command %q: %w", name, err)
		}
		name = file
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("find command: %w", err) // exec.Error names it
	}
	return filepath.Abs(path)
}

// reference is a value that is taken from our own environment.
var reference = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)

// environment resolves the variables of a process. Errors name variables, never values.
func environment(own map[string]string, lookup func(string) (string, bool)) ([]string, error) {
	var env []string
	var errs []error
	for name, value := range own {
		if m := reference.FindStringSubmatch(value); m != nil {
			found, ok := lookup(m[1])
			if !ok {
				errs = append(errs, fmt.Errorf("set variable %q: %q is not set in raven's own environment", name, m[1]))
				continue
			}
			value = found
		}
		env = append(env, name+"="+value)
	}
	return env, errors.Join(errs...)
}

// Run keeps the processes running until ctx is done, then stops them, last first, and returns nil.
func (s *Supervisor) Run(ctx context.Context) error {
	if len(s.runners) == 0 {
		close(s.ready)
		<-ctx.Done()
		return nil
	}
	end := startThread(s.runners[0].crew.starts)
	defer end()
	var stops []context.CancelFunc
	for _, r := range s.runners {
		own, stop := context.WithCancel(context.WithoutCancel(ctx))
		stops = append(stops, stop)
		go r.run(own)
	}
	var announcer sync.WaitGroup
	announcer.Go(func() { s.announce(ctx) })
	defer announcer.Wait()
	<-ctx.Done()
	for i := len(s.runners) - 1; i >= 0; i-- {
		stops[i]()
		<-s.runners[i].done
	}
	return nil
}

// announce closes ready when every process has been ready once.
func (s *Supervisor) announce(ctx context.Context) {
	for _, r := range s.runners {
		select {
		case <-r.firstReady:
		case <-ctx.Done():
			return
		}
	}
	close(s.ready)
}

// Ready is closed once every process has been ready.
func (s *Supervisor) Ready() <-chan struct{} { return s.ready }

// StopWithin is how long Run may take to return once its context is done.
func (s *Supervisor) StopWithin() time.Duration {
	total := time.Second
	for _, r := range s.runners {
		total += r.process.Stop + killWait
	}
	return total
}

// Status is the processes now, in the order they were given.
func (s *Supervisor) Status() []Status {
	var all []Status
	for _, r := range s.runners {
		all = append(all, r.status())
	}
	return all
}

// startThread runs functions on one thread that lives until the returned function is called. The kernel ties "die with
// your parent" to the thread that started a process, not to the process, and Go's own threads may end any time.
func startThread(functions <-chan func()) (end func()) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for {
			select {
			case f := <-functions:
				f()
			case <-stop:
				return
			}
		}
	}()
	return sync.OnceFunc(func() { close(stop); <-stopped })
}
