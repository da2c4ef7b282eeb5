package server

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// A budget bounds the bytes of all requests that are worked on; readers wait when it is used up.
type budget struct {
	all   *semaphore.Weighted
	bytes int64
}

func newBudget(bytes int64) *budget {
	return &budget{all: semaphore.NewWeighted(bytes), bytes: bytes}
}

// take waits for n bytes. A single request never asks for more than there is in all.
func (b *budget) take(ctx context.Context, n int) error {
	return b.all.Acquire(ctx, min(int64(n), b.bytes))
}

// raise makes what is held into n, if it is less. Everything is given back before, or two that want more could wait for
// each other.
func (b *budget) raise(ctx context.Context, held, n int) (int, error) {
	if held >= n {
		return held, nil
	}
	b.give(held)
	if err := b.take(ctx, n); err != nil {
		return 0, err
	}
	return n, nil
}

func (b *budget) give(n int) {
	if n > 0 {
		b.all.Release(min(int64(n), b.bytes))
	}
}
