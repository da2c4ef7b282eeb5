package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"ravenswood.dev/internal/component/all"
	"ravenswood.dev/internal/node"
)

// The environment of a child process.
const (
	envRole    = "RAVEN_CRASH_ROLE"    // broker, worker or node
	envDir     = "RAVEN_CRASH_DIR"     // broker: folder of the log; worker, node: folder of the resource files
	envData    = "RAVEN_CRASH_DATA"    // worker, node: its data folder
	envBrokers = "RAVEN_CRASH_BROKERS" // worker: address of the broker; node: where its own is to listen
	envID      = "RAVEN_CRASH_ID"      // worker, node: its id, the same in all its lives
	envKind    = "RAVEN_CRASH_BROKER"  // node: which broker it embeds
	envAccount = "RAVEN_CRASH_ACCOUNT" // node: the account of what is synced, as JSON; empty keeps none
	envNoSync  = "RAVEN_CRASH_NOSYNC"  // node: not empty answers before the sync

	// envKillAt is STEP:COUNT: the worker kills itself when it gets to that step of a commit for the COUNTth time. It is
	// a switch for this harness alone.
	envKillAt = "RAVEN_UNSTABLE_KILL_AT"
)

// play is the main function of a child. It ends when told to, or when the harness is gone: its stdin ends with it.
func play(ctx context.Context, role string) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	err := errors.New("unknown role")
	switch role {
	case "broker":
		err = playBroker(ctx, log)
	case "worker":
		err = playWorker(ctx, log)
	case "node":
		err = playNode(ctx, log)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "play %s: %v\n", role, err)
		return 1
	}
	return 0
}

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
	at, err := killAt(os.Getenv(envKillAt))
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

// killAt reads STEP:COUNT. Only the worker's commit calls what it returns, so it needs no lock.
func killAt(text string) (func(step string), error) {
	if text == "" {
		return nil, nil
	}
	step, number, _ := strings.Cut(text, ":")
	left, err := strconv.Atoi(number)
	if err != nil {
		return nil, fmt.Errorf("read %s=%q: want STEP:COUNT", envKillAt, text)
	}
	return func(reached string) {
		if reached != step {
			return
		}
		if left--; left == 0 {
			self, _ := os.FindProcess(os.Getpid()) // cannot fail on Unix
			_ = self.Kill()
			select {}
		}
	}, nil
}
