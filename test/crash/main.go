// Command crash kills workers and counts what it cost: the proof of exactly-once on real processes.
//
// It runs a broker in a process of its own, a slow service, a topology in two worker processes, and a load from
// outside. Workers are killed with SIGKILL at random moments and at named steps of a commit, and started again at once. At
// the end a checker that knows nothing of the engine reads the output topic (read_committed) and the database and counts
// what was lost, repeated or out of order. The same is then done with delivery at-least-once, where the checker must
// find repetitions: a checker that cannot find them would prove nothing.
//
// The last line on stdout is one JSON object; the exit code is 1 if a guarantee was broken. See docs/internals/crash.md.
//
// The same program is harness, broker and worker: the harness starts itself again. Each part is one process and may be
// killed at any moment; nothing but the log and the database connects them.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer release()
	if role := os.Getenv(envRole); role != "" {
		os.Exit(play(ctx, role))
	}
	o, err := parse(os.Args[1:])
	if err != nil {
		os.Exit(2) // the flag package has said why
	}
	os.Exit(prove(ctx, o))
}

// options is what the command line says.
type options struct {
	kills    int
	control  int
	pauses   int
	delivery string
	rate     int
	keys     int
	slowest  time.Duration
	seed     uint64
	keep     bool
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("crash", flag.ContinueOnError)
	f.IntVar(&o.kills, "kills", 50, "how often a worker is killed")
	f.IntVar(&o.control, "control-kills", 10, "how often a worker is killed in the negative control; 0 leaves it out")
	f.IntVar(&o.pauses, "pauses", -1, "how often a worker is stopped for longer than its session lasts, and then goes on; -1 is once for every 25 kills")
	f.StringVar(&o.delivery, "delivery", "", "exactly-once or at-least-once; empty does both, the second as negative control")
	f.IntVar(&o.rate, "rate", 2000, "records a second that are sent")
	f.IntVar(&o.keys, "keys", 500, "number of keys")
	f.DurationVar(&o.slowest, "slowest", 50*time.Millisecond, "longest time the service takes to answer; the shortest is 1ms")
	f.Uint64Var(&o.seed, "seed", uint64(rand.Uint32()), "seed of the kills; the moments still depend on the machine")
	f.BoolVar(&o.keep, "keep", false, "keep the folder with the log, the database and the workers' output")
	err := f.Parse(args)
	if err == nil && o.delivery != "" && o.delivery != exactlyOnce && o.delivery != atLeastOnce {
		err = fmt.Errorf("read --delivery %q: want exactly-once or at-least-once", o.delivery)
		fmt.Fprintln(os.Stderr, "error:", err)
	}
	if o.pauses < 0 {
		o.pauses = o.kills / killsPerPause
	}
	return o, err
}

// killsPerPause is how rare pauses are unless asked for: each takes longer than ten kills.
const killsPerPause = 25

const (
	exactlyOnce = "exactly-once"
	atLeastOnce = "at-least-once"
)

// summary is the last line: the run that proves, and with it the control.
type summary struct {
	*result
	Control *result `json:"negative_control_run,omitempty"`
	Seed    uint64  `json:"seed"`
	OK      bool    `json:"ok"`
}

// prove does the runs and returns the exit code.
func prove(ctx context.Context, o options) int {
	fmt.Fprintf(os.Stderr, "seed %d\n", o.seed)
	sum := summary{Seed: o.seed, OK: true}
	var err error
	if o.delivery != atLeastOnce {
		sum.result, err = run(ctx, o, exactlyOnce, o.kills)
		sum.OK = err == nil && sum.keptExactlyOnce()
	}
	switch {
	case err != nil:
	case o.delivery == atLeastOnce:
		sum.result, err = run(ctx, o, atLeastOnce, o.kills)
		sum.OK = err == nil && sum.repeatedOnly()
	case o.delivery == "" && o.control > 0:
		sum.Control, err = run(ctx, o, atLeastOnce, o.control)
		sum.OK = sum.OK && err == nil && sum.Control.repeatedOnly()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		sum.OK = false
	}
	line, _ := json.Marshal(sum) // plain numbers and text
	fmt.Println(string(line))
	if !sum.OK {
		return 1
	}
	return 0
}
