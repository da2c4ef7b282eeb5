// Package proof is what proofs on real processes have in common: a harness that starts itself again in other roles, kills
// and stops them, and says what it found.
//
// A Process and Findings are safe for concurrent use. A child lives for as long as its role works and its harness does.
//
// Nothing here knows what is proved. That a role has printed a line says no more than that it did: what it means that a
// process is up is between harness and role.
package proof

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// envRole says which part of the program a process is; empty is the harness.
const envRole = "RAVEN_PROOF_ROLE"

// Role is the main function of a child. It ends when ctx does: when it is told to end, or when the harness is gone.
type Role func(ctx context.Context, log *slog.Logger) error

// Roles are the parts that a child can play, by name.
type Roles map[string]Role

// Main is the main function of the program: that of the harness, with the arguments of the command line, or of a child.
// It returns the exit code. Orders get the lines that the harness tells a child; it may be nil.
func Main(harness func(ctx context.Context, args []string) int, roles Roles, orders func(string)) int {
	ctx, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer release()
	role := os.Getenv(envRole)
	if role == "" {
		return harness(ctx, os.Args[1:])
	}
	if err := roles.play(ctx, role, orders); err != nil {
		fmt.Fprintf(os.Stderr, "play %s: %v\n", role, err)
		return 1
	}
	return 0
}

func (r Roles) play(ctx context.Context, name string, orders func(string)) error {
	role := r[name]
	if role == nil {
		return errors.New("unknown role")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel() // stdin ends with the harness
		for told := bufio.NewScanner(os.Stdin); told.Scan(); {
			if orders != nil {
				orders(told.Text())
			}
		}
	}()
	return role(ctx, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo})))
}

// Say tells whoever watches how it goes.
func Say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

// Sleep waits, or until ctx is done.
func Sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// FreeAddress finds a port below those that the system gives to clients: a client that connects to one where nobody
// listens may be given that very port, and then who was there could not come back.
func FreeAddress(ctx context.Context) (string, error) {
	var last error
	for range 50 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(20000+rand.IntN(10000)))
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
		if err == nil {
			return addr, ln.Close()
		}
		last = err
	}
	return "", fmt.Errorf("find a free port: %w", last)
}
