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
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"ravenswood.dev/test/proof"
)

func main() {
	os.Exit(proof.Main(begin, proof.Roles{"broker": playBroker, "worker": playWorker, "node": playNode}, nil))
}

func begin(ctx context.Context, args []string) int {
	o, err := parse(args)
	if err != nil {
		return 2 // the flag package has said why
	}
	return prove(ctx, o)
}

// options is what the command line says.
type options struct {
	what      string
	kills     int
	control   int
	pauses    int
	delivery  string
	broker    string
	powerLoss bool
	noSync    bool
	rate      int
	keys      int
	slowest   time.Duration
	seed      uint64
	keep      bool
}

// What is killed.
const (
	whatAll     = "all"     // the runs below, one after the other, with their controls
	whatNode    = "node"    // the one process that is everything
	whatWorkers = "workers" // workers beside a broker that lives
)

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("crash", flag.ContinueOnError)
	f.StringVar(&o.what, "what", whatAll, "what is killed: node, workers, or all for both with and without power and with controls")
	f.IntVar(&o.kills, "kills", 50, "how often it is killed; of all, workers a fifth of it")
	f.IntVar(&o.control, "control-kills", -1, "how often it is killed in a negative control; 0 leaves them out; -1 is 4 to 10, by --kills")
	f.IntVar(&o.pauses, "pauses", -1, "how often a worker is stopped for longer than its session lasts, and then goes on; -1 is once for every 25 kills")
	f.StringVar(&o.delivery, "delivery", "", "exactly-once or at-least-once; empty does exactly-once, of workers both, the second as negative control")
	f.StringVar(&o.broker, "broker", ownBroker, "of node: the broker in the process, raven or kfake")
	f.BoolVar(&o.powerLoss, "power-loss", false, "of node: at every kill, what was not synced is cut off, damaged or undone by chance")
	f.BoolVar(&o.noSync, "no-sync", false, "of node: the broker answers before it syncs; with --power-loss this must lose records")
	f.IntVar(&o.rate, "rate", 0, "records a second that are sent to the topology; others send as much beside it; 0 is 500 for node and 2000 for workers")
	f.IntVar(&o.keys, "keys", 500, "number of keys")
	f.DurationVar(&o.slowest, "slowest", 0, "longest time the service takes to answer; the shortest is 1ms; 0 is 10ms for node and 50ms for workers")
	f.Uint64Var(&o.seed, "seed", uint64(rand.Uint32()), "seed of the kills; the moments still depend on the machine")
	f.BoolVar(&o.keep, "keep", false, "keep the folder with the log, the database and the output of the processes")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	return o.completed(), o.say(o.check())
}

func (o options) check() error {
	return errors.Join(
		oneOf("--what", o.what, whatAll, whatNode, whatWorkers),
		oneOf("--delivery", o.delivery, "", exactlyOnce, atLeastOnce),
		oneOf("--broker", o.broker, ownBroker, kfakeName),
	)
}

func oneOf(flag, got string, allowed ...string) error {
	if slices.Contains(allowed, got) {
		return nil
	}
	return fmt.Errorf("read %s %q: want one of %q", flag, got, allowed)
}

func (o options) say(err error) error {
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
	}
	return err
}

// completed fills in what follows from the rest.
func (o options) completed() options {
	if o.control < 0 {
		o.control = min(max(o.kills/5, controlLeast), controlMost)
	}
	return o
}

// paced fills in what a run needs that the command line left open.
func (o options) paced(rate int, slowest time.Duration) options {
	if o.rate == 0 {
		o.rate = rate
	}
	if o.slowest == 0 {
		o.slowest = slowest
	}
	return o
}

const (
	controlLeast = 4
	controlMost  = 10
	workersShare = 5 // of all kills, one in so many is of a worker

	// killsPerPause is how rare pauses are unless asked for: each takes longer than ten kills.
	killsPerPause = 25
)

const (
	exactlyOnce = "exactly-once"
	atLeastOnce = "at-least-once"
)

// summary is the last line: all runs in their order.
type summary struct {
	Runs []any  `json:"runs"`
	Seed uint64 `json:"seed"`
	OK   bool   `json:"ok"`
}

// prove does the runs and returns the exit code. One that breaks does not keep the others from being done.
func prove(ctx context.Context, o options) int {
	proof.Say("seed %d", o.seed)
	sum := summary{Seed: o.seed, OK: true}
	for _, one := range o.runs() {
		shown, ok, err := one(ctx)
		if err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
		}
		sum.Runs = append(sum.Runs, shown)
		sum.OK = sum.OK && ok && err == nil
		if ctx.Err() != nil {
			break
		}
	}
	line, _ := json.Marshal(sum) // plain numbers and text
	fmt.Println(string(line))
	if !sum.OK {
		return 1
	}
	return 0
}
