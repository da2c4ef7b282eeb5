package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"ravenswood.dev/internal/component/all"
	"ravenswood.dev/internal/node"
	"ravenswood.dev/test/proof"
)

// The environment of a child process.
const (
	envDir     = "RAVEN_CRASH_DIR"     // broker: folder of the log; worker, node: folder of the resource files
	envData    = "RAVEN_CRASH_DATA"    // worker, node: its data folder
	envBrokers = "RAVEN_CRASH_BROKERS" // worker: address of the broker; node: where its own is to listen
	envID      = "RAVEN_CRASH_ID"      // worker, node: its id, the same in all its lives
	envKind    = "RAVEN_CRASH_BROKER"  // node: which broker it embeds
	envAccount = "RAVEN_CRASH_ACCOUNT" // node: the account of what is synced, as JSON; empty keeps none
	envNoSync  = "RAVEN_CRASH_NOSYNC"  // node: not empty answers before the sync

	// envAt is where in a commit the worker kills itself, a proof.Order. It is a switch for this harness alone.
	envAt = "RAVEN_CRASH_AT"
)

// playBroker is `raven broker`. It prints its address.
func playBroker(ctx context.Context, log *slog.Logger) error {
	b, err := node.StartBroker(ctx, node.Options{Data: os.Getenv(envDir), Listen: "127.0.0.1:0", Log: log})
	if err != nil {
		return err
	}
	fmt.Println(b.Addr())
	<-ctx.Done()
	return b.Close()
}

// playWorker is `raven worker`, with a hand on the steps of its commits. It prints a line when it is up.
func playWorker(ctx context.Context, log *slog.Logger) error {
	o, err := workerOptions(log)
	if err != nil {
		return err
	}
	o.Brokers = []string{os.Getenv(envBrokers)}
	return playUp(ctx, o)
}

func workerOptions(log *slog.Logger) (node.Options, error) {
	at, err := proof.AtStep(os.Getenv(envAt))
	return node.Options{
		Dir: os.Getenv(envDir), Registry: all.Components(), Data: os.Getenv(envData), ID: os.Getenv(envID),
		Admin: "127.0.0.1:0", Topologies: true, Output: os.Stderr, Log: log, At: at,
	}, err
}

// playUp runs a node until ctx is done or a part of it ends.
func playUp(ctx context.Context, o node.Options) error {
	n, err := node.Up(ctx, o)
	if err != nil {
		return err
	}
	fmt.Println("up")
	var ended error
	select {
	case <-ctx.Done():
	case ended = <-n.Ended():
	}
	return errors.Join(ended, n.Stop(), n.Failed())
}
