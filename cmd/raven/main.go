// Command raven is the whole of Ravenswood: see `raven help`.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"ravenswood.dev/internal/cli"
	"ravenswood.dev/internal/telemetry"
)

func main() {
	ctx, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, release) // the first signal drains; a second one has its usual effect
	os.Exit(cli.Run(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Started: telemetry.ProcessStart()}))
}
