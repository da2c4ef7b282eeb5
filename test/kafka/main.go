// Command kafka starts and stops Apache Kafka on this machine: make kafka, make kafka-stop.
//
//	go run ./test/kafka start [--brokers 1|3] [--dir DIR]
//	go run ./test/kafka stop [--dir DIR]
//	go run ./test/kafka conformance [TARGET...]
//
// The brokers stay when the command ends. Data and logs are in DIR and are kept when they stop; the next start goes on with
// the same data, unless the number of brokers changed. Conformance runs the list of internal/kafka/kafkatest and ends with one line
// of JSON. See docs/internals/kafkatest.md.
//
// Two of these in one folder at once are not held apart.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"ravenswood.dev/test/kafka/apache"
)

func main() {
	ctx, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer release()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("say what to do: start, stop or conformance")
	}
	if args[0] == "conformance" {
		return conformance(ctx, args[1:])
	}
	flags := flag.NewFlagSet("kafka "+args[0], flag.ContinueOnError)
	brokers := flags.Int("brokers", 1, "1, or 3 that replicate")
	dir := flags.String("dir", filepath.Join(os.TempDir(), "raven-kafka"), "folder of data and logs")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "start":
		return start(ctx, *dir, *brokers)
	case "stop":
		return stop(*dir)
	}
	return fmt.Errorf("no such verb %q: want start, stop or conformance", args[0])
}

func start(ctx context.Context, root string, brokers int) error {
	for _, n := range []int{1, 3} {
		running, err := apache.Running(folder(root, n))
		if err != nil {
			return err
		}
		if running {
			return fmt.Errorf("start kafka: brokers run already in %q: make kafka-stop", folder(root, n))
		}
	}
	c, err := apache.Start(ctx, apache.Options{Dir: folder(root, brokers), Brokers: brokers, Stay: true})
	if err != nil {
		return err
	}
	fmt.Printf("Apache Kafka %s\nbootstrap servers  %s\nwith SCRAM         %s  (%s, %s)\nlogs               %s\nstop               make kafka-stop\n",
		apache.Version(), strings.Join(c.Addrs(), ","), strings.Join(c.SASLAddrs(), ","), apache.AdminUser, apache.AdminPassword, strings.Join(c.Logs(), " "))
	return nil
}

// folder is where a cluster of n brokers lives: one that replicates cannot go on with the data of one that does not.
func folder(root string, n int) string { return filepath.Join(root, fmt.Sprintf("brokers-%d", n)) }

func stop(root string) error {
	total := 0
	for _, n := range []int{1, 3} {
		ended, err := apache.Stop(folder(root, n))
		if err != nil {
			return err
		}
		total += ended
	}
	fmt.Printf("stopped %d brokers; data and logs are still in %s\n", total, root)
	return nil
}
