// Command wordcount counts the words of lines: the smallest topology with state.
//
//	go run ./examples/wordcount                        # everything on this machine
//	go run ./examples/wordcount --brokers host:9092    # the same, on a cluster
//
// It works until it is interrupted and goes on where it stopped. Several processes share a cluster's work if each has a
// working directory and a host name of its own.
package main

import (
	"context"
	"flag"
	"fmt"
	"iter"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"ravenswood.dev/stream"
)

var (
	lines  = stream.Topic("lines", stream.String(), stream.String())
	counts = stream.Topic("counts", stream.String(), stream.Int64()).Compacted()
)

// wordcount is the topology: from lines to the count of each word so far.
func wordcount() *stream.Topology {
	t := stream.New("wordcount")
	words := stream.FlatMapValues(stream.From(t, lines), func(line string) iter.Seq[string] {
		return strings.FieldsSeq(strings.ToLower(line))
	})
	stream.GroupBy(words, func(_, word string) string { return word }).Count(stream.Named("words")).To(counts)
	return t
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	brokers := flag.String("brokers", os.Getenv("RAVEN_BROKERS"), "Kafka cluster, host:port,...; without, the embedded broker")
	flag.Parse()
	options := stream.Options{Brokers: strings.FieldsFunc(*brokers, func(r rune) bool { return r == ',' }), Ready: func(r stream.Running) {
		fmt.Println("counting the words of the topic lines on", r.Brokers()[0])
	}}
	if err := wordcount().Run(ctx, options); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to stop
	}
}
