package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"ravenswood.dev/internal/broker"
	"ravenswood.dev/internal/engine"
	"ravenswood.dev/internal/node"
	"ravenswood.dev/stream"
	"ravenswood.dev/test/proof"
)

// The environment of a child process.
const (
	envDir    = "RAVEN_STATE_DIR"    // where it keeps its data
	envAddr   = "RAVEN_STATE_ADDR"   // broker: where to listen; worker: whom to ask
	envID     = "RAVEN_STATE_ID"     // worker: its id, the same in all its lives
	envUnsafe = "RAVEN_STATE_UNSAFE" // worker: what is switched off, an engine.Unsafe as JSON

	// envAt is what the worker does to itself at a step of a commit, a proof.Order. It is a switch for this harness alone.
	envAt = "RAVEN_STATE_AT"
)

// playBroker is `raven broker`, with a hand on the markers of transactions. It prints a line when it is up.
func playBroker(markers *lateMarkers) proof.Role {
	return func(ctx context.Context, log *slog.Logger) error {
		b, err := node.StartBroker(ctx, node.Options{Data: os.Getenv(envDir), Listen: os.Getenv(envAddr), Log: log, Embedded: func(o *broker.Options) {
			o.Settings = map[string]string{"log.segment.bytes": strconv.Itoa(8 << 20), "group.initial.rebalance.delay.ms": "0"}
			o.Hooks.Decided = markers.decided
		}})
		if err != nil {
			return err
		}
		fmt.Println("up")
		<-ctx.Done()
		return b.Close()
	}
}

// playWorker runs the bank as its user would, with a hand on the steps of its commits. It prints the address of its admin
// API when it is up.
func playWorker(ctx context.Context, log *slog.Logger) error {
	o, err := workerOptions(log)
	if err != nil {
		return err
	}
	n, err := node.Up(ctx, o)
	if err != nil {
		return err
	}
	fmt.Println(n.Admin())
	var ended error
	select {
	case <-ctx.Done():
	case ended = <-n.Ended():
	}
	return errors.Join(ended, n.Stop(), n.Failed())
}

func workerOptions(log *slog.Logger) (node.Options, error) {
	o, err1 := bank().Node(stream.Options{
		Brokers: []string{os.Getenv(envAddr)}, ID: os.Getenv(envID), Dir: os.Getenv(envDir), AdminAddr: "127.0.0.1:0",
		CommitInterval: 100 * time.Millisecond, Log: log,
	})
	var unsafe engine.Unsafe
	err2 := json.Unmarshal([]byte(os.Getenv(envUnsafe)), &unsafe)
	at, err3 := proof.AtStep(os.Getenv(envAt))
	o.Unsafe, o.At = unsafe, at
	return o, errors.Join(err1, err2, err3)
}
