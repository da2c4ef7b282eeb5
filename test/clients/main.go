// Command clients runs Kafka clients of other makers against a running broker, step by step, and says what works.
//
// The clients are kcat (librdkafka), kafkajs, confluent-kafka and kafka-python, the Java client, Kafka's own command line
// tools, and two Go clients that are not ours. Without --bootstrap it builds and starts `raven broker` on a free port and an
// empty folder. On stdout it prints a table and, as last line, one JSON object; the exit code is 1 if a step failed.
//
// Clients run beside each other, each in processes of its own; the steps of one client run one after the other, each with a
// deadline. Everything a run makes has a prefix of its own, so it may be run again and again on the same broker.
//
// A client that cannot run here is left out and said to be; with RAVEN_REQUIRE_CLIENTS=1 that is a failure. Do not assume that
// a green run tells about durability or speed: it is about the protocol. See docs/internals/clients.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer release()
	o, err := parse(os.Args[1:])
	if err != nil {
		os.Exit(2) // the flag package has said why
	}
	ok, err := prove(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
	}
	if err != nil || !ok {
		release()
		os.Exit(1) //nolint:gocritic // released above
	}
}

// options is what the command line and the environment say.
type options struct {
	bootstrap string        // broker to test; empty starts our own
	only      []string      // clients to run; empty is all
	install   bool          // fetch what the clients need, and stop
	strict    bool          // a step that is not required of one node must work, too
	required  bool          // a client that cannot run is a failure
	parallel  int           // clients at a time
	bound     time.Duration // longest time of the whole run
	cache     string        // folder of what was fetched
	page      string        // page of the docs to write the results into; empty for none
}

func parse(args []string) (options, error) {
	var o options
	var only string
	f := flag.NewFlagSet("clients", flag.ContinueOnError)
	f.StringVar(&o.bootstrap, "bootstrap", "", "broker to test, host:port; empty builds and starts `raven broker`")
	f.StringVar(&only, "only", "", "clients to run, separated by commas; empty is all: "+strings.Join(names(), ", "))
	f.BoolVar(&o.install, "install", false, "fetch what the clients need into the cache, and stop")
	f.BoolVar(&o.strict, "strict", false, "the steps that are not required of one node must work, too: for a run on Apache Kafka")
	f.IntVar(&o.parallel, "parallel", 2, "clients that run at the same time")
	f.DurationVar(&o.bound, "timeout", 10*time.Minute, "longest time of the whole run")
	f.StringVar(&o.cache, "cache", defaultCache(), "folder for what is fetched")
	f.StringVar(&o.page, "page", "", "write the results into this page of the docs; needs every client")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if only != "" {
		o.only = strings.Split(only, ",")
	}
	o.required = os.Getenv("RAVEN_REQUIRE_CLIENTS") == "1"
	err := o.check()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
	}
	return o, err
}

func (o options) check() error {
	if o.parallel < 1 {
		return fmt.Errorf("read --parallel %d: want 1 or more", o.parallel)
	}
	if o.page != "" && len(o.only) > 0 {
		return errors.New("read --page: the page is about every client, leave out --only")
	}
	_, err := choose(clients(), o.only)
	return err
}

// defaultCache is where what was fetched stays between runs, outside the repository.
func defaultCache() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "raven-test", "clients")
}

// prove runs the clients and prints what they found. It reports whether everything that must work did.
func prove(ctx context.Context, o options) (ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, o.bound)
	defer cancel()
	chosen, err := choose(clients(), o.only)
	if err != nil {
		return false, err
	}
	root, err := sourceRoot(ctx)
	if err != nil {
		return false, err
	}
	ready := prepare(ctx, chosen, store{dir: o.cache, source: filepath.Join(root, "test", "clients")}, os.Stderr)
	if o.install {
		return installed(ready, o.required), nil
	}
	began := time.Now()
	rows, err := runOn(ctx, ready, o, root)
	s := summarise(rows, o, time.Since(began))
	printTable(os.Stdout, rows)
	if err != nil {
		return false, err
	}
	if o.page != "" {
		err = writePage(o.page, rows)
	}
	return s.OK, errors.Join(err, printSummary(os.Stdout, s))
}

// runOn runs the clients on the broker that was named, or on one of our own. That ours did not end in order is an error.
func runOn(ctx context.Context, ready []prepared, o options, root string) (rows []row, err error) {
	if o.bootstrap != "" {
		return runAll(ctx, ready, o.bootstrap, o.parallel), nil
	}
	b, err := startBroker(ctx, root)
	if err != nil {
		return nil, err
	}
	rows = runAll(ctx, ready, b.addr, o.parallel)
	return rows, b.stop()
}
