// Command state shows that state is exactly right whatever happens to the processes that keep it.
//
// It runs a bank (bank.go): transfers between accounts pass two repartitions, a join with a table, a join of two streams, a
// processor that keeps each account's balance, and counts in windows, on three worker processes beside a broker in a
// process of its own, ours or Apache Kafka. Workers are killed with SIGKILL, stopped for longer than their session and
// let go on, and cut off from the broker; the broker is killed and comes back. Meanwhile a committed reader checks
// every record, and in the end the tables must be what a naive program of ten lines makes of the input.
//
// Then the same checker must find the error when a guarantee is switched off: fencing, the write buffer of the stores, the
// target of a restore. One that cannot find them would prove nothing.
//
// The last line on stdout is one JSON object; the exit code is 1 if something was wrong. See docs/internals/state-proof.md.
//
// The same program is harness, broker and worker: the harness starts itself again. Nothing but the log connects them.
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
	markers := &lateMarkers{say: func(line string) { fmt.Println(line) }}
	os.Exit(proof.Main(begin, proof.Roles{"broker": playBroker(markers), "worker": playWorker}, markers.obey))
}

func begin(ctx context.Context, args []string) int {
	o, err := parse(args)
	if err != nil {
		return 2 // it was said why
	}
	return prove(ctx, o)
}

// options is what the command line says.
type options struct {
	run      string
	broker   string
	span     time.Duration
	control  time.Duration
	rate     int
	accounts int
	seed     uint64
	safe     bool
	keep     bool
}

// What is run.
const (
	runAll     = "all"     // the main run and its controls
	runMain    = "main"    // everything happens, everything is on
	runCalm    = "calm"    // nothing happens
	runFence   = "fence"   // controls, by what is switched off
	runBuffer  = "buffer"  //
	runRestore = "restore" //
)

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("state", flag.ContinueOnError)
	f.StringVar(&o.run, "run", runAll, "what is run: all, main, calm, or a control: fence, buffer, restore")
	f.StringVar(&o.broker, "broker", ownBroker, "the broker: raven or kafka")
	f.DurationVar(&o.span, "span", 10*time.Minute, "how long things happen in the main run; what comes after is the waiting for the end")
	f.DurationVar(&o.control, "control", 3*time.Minute, "how long a control may take to find the error; 0 leaves the controls out of all")
	f.IntVar(&o.rate, "rate", 200, "transfers a second")
	f.IntVar(&o.accounts, "accounts", 200, "number of accounts")
	f.Uint64Var(&o.seed, "seed", uint64(rand.Uint32()), "seed of all that happens; the moments still depend on the machine")
	f.BoolVar(&o.safe, "safe", false, "of a control: switch nothing off, so that nothing may be found")
	f.BoolVar(&o.keep, "keep", false, "keep the folder with the data and the output of all processes")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	err := o.check()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
	}
	return o, err
}

func (o options) check() error {
	var errs []error
	if names := []string{runAll, runMain, runCalm, runFence, runBuffer, runRestore}; !slices.Contains(names, o.run) {
		errs = append(errs, fmt.Errorf("read --run %q: want one of %q", o.run, names))
	}
	if names := []string{ownBroker, kafkaBroker}; !slices.Contains(names, o.broker) {
		errs = append(errs, fmt.Errorf("read --broker %q: want one of %q", o.broker, names))
	}
	if o.accounts < 2 || o.rate < 1 {
		errs = append(errs, fmt.Errorf("read --accounts %d --rate %d: want two accounts and one transfer a second at least", o.accounts, o.rate))
	}
	return errors.Join(errs...)
}

// summary is the last line: all runs in their order.
type summary struct {
	Runs []*result `json:"runs"`
	Seed uint64    `json:"seed"`
	OK   bool      `json:"ok"`
}

// prove does the runs and returns the exit code. One that breaks does not keep the others from being done.
func prove(ctx context.Context, o options) int {
	proof.Say("seed %d", o.seed)
	sum := summary{Seed: o.seed, OK: true}
	for _, t := range o.trials() {
		r := run(ctx, o, t)
		sum.Runs = append(sum.Runs, r)
		sum.OK = sum.OK && r.OK
		if ctx.Err() != nil {
			sum.OK = false
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
