package bench

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// LogOptions are what Log needs beyond the knobs of every benchmark.
type LogOptions struct {
	Options
	Quick     bool     // smaller and fewer rounds: minutes become seconds, and the numbers say less
	Gigabytes float64  // written by the part that looks at memory and starts; zero takes 1
	Parts     []string // of LogParts; empty takes all
	Dir       string   // where the brokers keep their data; empty takes a temporary folder. It is emptied
	Kfake     string   // program test/bench-kfake; empty leaves the ratios to kfake out
	NATS      string   // program test/bench-nats; empty leaves the ratio to JetStream out
	Profile   string   // CPU profile of our broker without fsync is written to this file; empty writes none
	Self      []string // the program that runs ServeLog; empty takes this one's command for it
}

// LogParts are the parts of Log, in the order in which they run.
func LogParts() []string {
	return []string{"throughput", "exactly-once", "latency", "jetstream", "memory"}
}

// LogResult is what Log has measured. Every rate and time is a median over the rounds.
type LogResult struct {
	Benchmark   string       `json:"benchmark"`
	Throughput  []LogRates   `json:"throughput,omitempty"`
	ExactlyOnce []LogOnce    `json:"exactly_once,omitempty"`
	Commits     []LogCommits `json:"commit_latency,omitempty"`
	Latency     []LogLatency `json:"latency,omitempty"`
	JetStream   *LogNATS     `json:"jetstream_sync_always,omitempty"`
	Memory      *LogMemory   `json:"memory,omitempty"`
	Least       LogLeast     `json:"least"`
	Aims        LogAims      `json:"aims"`
	Rounds      int          `json:"rounds"`
	Machine
}

// LogLeast is the smallest ratio of each kind: what the aims are compared with.
type LogLeast struct {
	Produce     float64 `json:"produce_ratio,omitempty"`
	Consume     float64 `json:"consume_ratio,omitempty"`
	ExactlyOnce float64 `json:"exactly_once_ratio,omitempty"`
	JetStream   float64 `json:"jetstream_ratio,omitempty"`
}

// LogAims are what the ratios should be at least.
type LogAims struct {
	Kfake     float64 `json:"kfake_ratio"`
	JetStream float64 `json:"jetstream_ratio"`
}

// The brokers that are compared. Each is a process of its own: it shares the processors with the client, not its heap.
const (
	ours      = "raven"            // without fsync: safe from the death of the process
	oursSync  = "raven_fsync"      // group commit: safe from a loss of power
	kfake     = "kfake"            // on a folder, without fsync
	kfakeSync = "kfake_sync_write" // an fsync for every batch
)

// A logBench is one run of Log.
type logBench struct {
	o       LogOptions
	dir     string
	brokers map[string]*process
	result  *LogResult
}

// Log measures our broker against kfake, and against NATS JetStream where writes are synced.
func Log(ctx context.Context, o LogOptions) (_ *LogResult, err error) {
	rounds := 5
	if o.Quick {
		rounds = 3
	}
	o.Options = o.orElse(0, rounds, 5*time.Second)
	o.Gigabytes = cmp.Or(o.Gigabytes, 1)
	if len(o.Parts) == 0 {
		o.Parts = LogParts()
	}
	for _, part := range o.Parts {
		if !slices.Contains(LogParts(), part) {
			return nil, fmt.Errorf("measure part %q of the log: there is no such part", part)
		}
	}
	dir, err := os.MkdirTemp(o.Dir, "raven-bench-log-")
	if err != nil {
		return nil, fmt.Errorf("make a folder to measure in: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // left-overs in a temporary folder
	b := &logBench{o: o, dir: dir, brokers: map[string]*process{}, result: &LogResult{
		Benchmark: "log", Rounds: o.Rounds, Machine: o.machine(), Aims: LogAims{Kfake: 0.8, JetStream: 20},
	}}
	defer b.stop()
	return b.result, b.run(ctx)
}

func (b *logBench) run(ctx context.Context) error {
	parts := map[string]func(context.Context) error{
		"throughput": b.throughput, "exactly-once": b.exactlyOnce, "latency": b.latency, "jetstream": b.jetStream, "memory": b.memory,
	}
	for _, name := range LogParts() {
		if !slices.Contains(b.o.Parts, name) {
			continue
		}
		b.o.say("%s", name)
		if err := parts[name](ctx); err != nil {
			return fmt.Errorf("measure %s: %w", name, err)
		}
	}
	return nil
}

// compared are the brokers whose rates are compared, our own first.
func (b *logBench) compared() []string {
	if b.o.Kfake == "" {
		return []string{ours, oursSync}
	}
	return []string{ours, kfake, oursSync}
}

// all are compared, and the reference that syncs.
func (b *logBench) all() []string {
	if b.o.Kfake == "" {
		return b.compared()
	}
	return append(b.compared(), kfakeSync)
}

// turn is the order of a round: everybody comes first once, so that nobody always has the warmer machine.
func turn(names []string, round int) []string {
	at := round % len(names)
	return append(slices.Clone(names[at:]), names[:at]...)
}

// broker is the running broker of a name; it is started when it is first asked for.
func (b *logBench) broker(ctx context.Context, name string) (*process, error) {
	if p := b.brokers[name]; p != nil {
		return p, nil
	}
	p, err := startProcess(ctx, b.command(name), filepath.Join(b.dir, name))
	if err != nil {
		return nil, err
	}
	b.brokers[name] = p
	return p, nil
}

// command is the program of a broker with its arguments.
func (b *logBench) command(name string) []string {
	switch name {
	case kfake:
		return []string{b.o.Kfake}
	case kfakeSync:
		return []string{b.o.Kfake, "--sync"}
	case oursSync:
		return append(slices.Clone(b.o.Self), "--sync")
	}
	command := slices.Clone(b.o.Self)
	if b.o.Profile != "" {
		command = append(command, "--cpu-profile", b.o.Profile)
	}
	return command
}

func (b *logBench) stop() {
	for _, p := range b.brokers {
		_ = p.stop() // what was measured stands
	}
}

// least keeps the smaller of two ratios; zero is none.
func least(was *float64, ratio float64) {
	if ratio > 0 && (*was == 0 || ratio < *was) {
		*was = ratio
	}
}

// ratio of two rates, zero if there is no reference.
func ratio(subject, reference Series) float64 {
	if len(reference) == 0 || reference.Median() == 0 {
		return 0
	}
	return round(subject.Median()/reference.Median(), 3)
}
