// Command orders is a shop of five services and a view, which tell each other by events what happened. It starts all of them
// in one process, lives through some orders, a crash and the loss of the view, and says what it sees.
//
//	go run ./examples/orders                        # everything on this machine
//	go run ./examples/orders --brokers host:9092    # the same, on a cluster
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	brokers := flag.String("brokers", os.Getenv("RAVEN_BROKERS"), "Kafka cluster, host:port,...; without, the first service brings the embedded broker")
	flag.Parse()
	if err := run(ctx, strings.FieldsFunc(*brokers, func(r rune) bool { return r == ',' })); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// run opens the shop in a folder that is thrown away, tells the story, and closes it.
func run(ctx context.Context, brokers []string) error {
	dir, err := os.MkdirTemp("", "orders")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // it is in the folder of temporary files
	provider, office := newCounter("charge"), newCounter("letter")
	providerURL, closeProvider, err := provider.serve(ctx)
	if err != nil {
		return err
	}
	defer closeProvider()
	officeURL, closeOffice, err := office.serve(ctx)
	if err != nil {
		return err
	}
	defer closeOffice()
	s := &shop{
		dir: dir, brokers: brokers, provider: remote{providerURL}, office: remote{officeURL}, step: 200 * time.Millisecond,
		log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	return errors.Join(newStory(s, provider, office, os.Stdout).tell(ctx), s.close())
}
