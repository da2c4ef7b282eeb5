package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ravenswood.dev/internal/broker"
	"ravenswood.dev/internal/engine"
	"ravenswood.dev/internal/node"
	"ravenswood.dev/stream"
)

// The environment of a child process.
const (
	envRole   = "RAVEN_STATE_ROLE"   // broker or worker
	envDir    = "RAVEN_STATE_DIR"    // where it keeps its data
	envAddr   = "RAVEN_STATE_ADDR"   // broker: where to listen; worker: whom to ask
	envID     = "RAVEN_STATE_ID"     // worker: its id, the same in all its lives
	envUnsafe = "RAVEN_STATE_UNSAFE" // worker: what is switched off, an engine.Unsafe as JSON

	// envAt is VERB:STEP:COUNT: the worker stops or kills itself when it gets to that step of a commit for the COUNTth time.
	// It is a switch for this harness alone.
	envAt = "RAVEN_STATE_AT"
)

// The verbs of envAt.
const (
	verbStop = "stop"
	verbKill = "kill"

	sayStops = "stops" // what a worker says before it stops itself
)

// play is the main function of a child. It ends when told to, or when the harness is gone: its stdin ends with it.
func play(ctx context.Context, role string) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	markers := &lateMarkers{say: func(line string) { fmt.Println(line) }}
	go func() {
		defer cancel()
		for orders := bufio.NewScanner(os.Stdin); orders.Scan(); {
			markers.obey(orders.Text())
		}
	}()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	err := errors.New("unknown role")
	switch role {
	case "broker":
		err = playBroker(ctx, markers, log)
	case "worker":
		err = playWorker(ctx, log)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "play %s: %v\n", role, err)
		return 1
	}
	return 0
}

// playBroker is `raven broker`, with a hand on the markers of transactions. It prints a line when it is up.
func playBroker(ctx context.Context, markers *lateMarkers, log *slog.Logger) error {
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
	at, err3 := atStep(os.Getenv(envAt))
	o.Unsafe, o.At = unsafe, at
	return o, errors.Join(err1, err2, err3)
}

// atStep reads VERB:STEP:COUNT. Only the worker's commit calls what it returns, so it needs no lock.
func atStep(text string) (func(step string), error) {
	if text == "" {
		return nil, nil
	}
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return nil, fmt.Errorf("read %s=%q: want VERB:STEP:COUNT", envAt, text)
	}
	left, err := strconv.Atoi(parts[2])
	if err != nil {
		return nil, fmt.Errorf("read %s=%q: %w", envAt, text, err)
	}
	signal := map[string]syscall.Signal{verbStop: syscall.SIGSTOP, verbKill: syscall.SIGKILL}[parts[0]]
	return func(step string) {
		if step != parts[1] {
			return
		}
		if left--; left == 0 {
			if parts[0] == verbStop {
				fmt.Println(sayStops)
			}
			_ = syscall.Kill(os.Getpid(), signal) // oneself can always be told
		}
	}, nil
}
