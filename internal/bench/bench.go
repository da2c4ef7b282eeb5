// Package bench measures: what `raven bench NAME` runs.
//
// Machines are noisy, so no number stands alone. Each benchmark runs its subject and a reference in turn (A B A B ...) in
// the same process, over the same input, on the same broker, several times, and reports medians, their spread, and the
// ratio of the medians. What is measured is what users run: topologies from resource files through the ordinary
// components, routes through the ordinary router.
//
// One benchmark at a time: the functions are not meant to run concurrently, since they would measure each other. Do not
// compare absolute numbers between machines, and expect ratios to shift when other programs work beside.
package bench

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"time"
)

// Options are the knobs all benchmarks have in common. A zero takes the benchmark's own default.
type Options struct {
	Brokers []string      // the cluster; empty runs the embedded broker in a folder that is removed afterwards
	Records int           // records of a round
	Rounds  int           // how often reference and subject are measured
	Span    time.Duration // length of a part that is measured by time
	Self    []string      // the program whose commands run workers as processes of their own; needed by those that kill or weigh them
	Out     io.Writer     // where a person sees the course of it
	Log     *slog.Logger
}

// Commit is the commit interval of every benchmark that does not vary it.
const Commit = 100 * time.Millisecond

func (o Options) orElse(records, rounds int, span time.Duration) Options {
	o.Records = cmp.Or(o.Records, records)
	o.Rounds = cmp.Or(o.Rounds, rounds)
	o.Span = cmp.Or(o.Span, span)
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) say(format string, args ...any) { fmt.Fprintf(o.Out, format+"\n", args...) }

// Benchmark is one of the things that can be measured.
type Benchmark struct {
	Name  string
	About string // one sentence, for help
	// Run measures and returns what is printed as JSON.
	Run func(context.Context, Options) (any, error)
}

// All lists the benchmarks in the order in which they are shown.
func All() []Benchmark {
	return []Benchmark{
		{"pass", "topic to topic, exactly once, against a plain client loop", anyOf(Pass)},
		{"transform", "topic to topic with two fields set, exactly once, against a plain client loop that sets nothing", anyOf(Transform)},
		{"calls", "a call per record to a service that takes 10 ms, against the most that key order allows", anyOf(Calls)},
		{"exactly-once", "what exactly-once costs over at-least-once, by commit interval", anyOf(ExactlyOnce)},
		{"route", "a routing decision, and the proxy against a direct call", anyOf(Route)},
		{"switch", "changes of a route under 5,000 calls a second", anyOf(Switch)},
		{"query", "questions for a key of a table under load, to the process that has it and to another", anyOf(Query)},
		{"count", "records counted by key in a store on disk, exactly once, against a raw loop over the same store", anyOf(Count)},
		{"join", "a stream joined with a table on disk, exactly once, against a raw loop over the same store", anyOf(Join)},
		{"restore", "how long stores of 1 GB take to come back: from the changelog, from a snapshot, by a standby after kill -9", anyOf(Restore)},
		{"memory", "the memory of a worker that counts over ten million keys on disk", anyOf(Memory)},
	}
}

func anyOf[T any](run func(context.Context, Options) (T, error)) func(context.Context, Options) (any, error) {
	return func(ctx context.Context, o Options) (any, error) { return run(ctx, o) }
}

// Machine says what was measured on.
type Machine struct {
	CPU       string `json:"cpu,omitempty"`
	CPUs      int    `json:"cpus"`
	Go        string `json:"go"`
	Platform  string `json:"platform"`
	Embedded  bool   `json:"embedded_broker"`
	LoadStart string `json:"load_at_start,omitempty"` // other programs' work, as the system counts it
}

func (o Options) machine() Machine {
	return Machine{
		CPU: cpuModel(), CPUs: runtime.GOMAXPROCS(0), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Embedded: len(o.Brokers) == 0, LoadStart: loadAverage(),
	}
}
