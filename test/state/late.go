package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// The orders that the broker takes on stdin, a line each, and what it says to them on stdout.
const (
	orderHold  = "hold"    // the markers of commits that are decided from now on
	sayHolding = "holding" // it does
	sayHeld    = "held"    // a commit is decided and its offsets are shown; its markers wait
	orderWrite = "write"   // what is held; no more is
)

// lateMarkers holds the markers of commits back in our broker: between the offsets that show a transaction and the
// changelogs that show it lies a moment, and here it lasts for as long as the harness wants. It is safe for concurrent use.
type lateMarkers struct {
	say func(string)

	mu   sync.Mutex
	held chan struct{} // closed when they are to be written; nil while nothing is held; GUARDED_BY(mu)
}

// obey does what a line on stdin says.
func (l *lateMarkers) obey(order string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case order == orderHold && l.held == nil:
		l.held = make(chan struct{})
		l.say(sayHolding)
	case order == orderWrite && l.held != nil:
		close(l.held)
		l.held = nil
	}
}

// decided is the broker's hook.
func (l *lateMarkers) decided(ctx context.Context, _ string, commit bool) {
	l.mu.Lock()
	held := l.held
	l.mu.Unlock()
	if held == nil || !commit {
		return
	}
	l.say(sayHeld)
	select {
	case <-held:
	case <-ctx.Done():
	}
}

// commitLate has the broker hold the markers and ends the transaction in the place of its worker, which does not get an
// answer before they are written.
func (b *own) commitLate(ctx context.Context, t *transaction) (write func(context.Context) error, err error) {
	if err := b.p.Tell(orderHold); err != nil {
		return nil, err
	}
	if err := b.p.Hear(ctx, sayHolding); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- t.commit(context.WithoutCancel(ctx)) }()
	if err := b.p.Hear(ctx, sayHeld); err != nil {
		return nil, errors.Join(err, b.p.Tell(orderWrite))
	}
	return func(ctx context.Context) error {
		if err := b.p.Tell(orderWrite); err != nil {
			return err
		}
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
			return fmt.Errorf("commit %q: %w", t.id, ctx.Err())
		}
	}, nil
}
