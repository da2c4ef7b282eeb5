package kafka

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

const (
	warnEvery   = 10 * time.Second // between two warnings about one trouble
	patienceMax = time.Minute      // without one good answer, for reads that somebody waits for
)

// patience decides what to do about errors that come one after the other while something is tried again and again.
type patience struct {
	log    *slog.Logger
	what   string
	args   []any
	limit  time.Duration // 0 is for ever
	since  time.Time     // of the first error in a row
	warned time.Time
}

func newPatience(log *slog.Logger, what string, args ...any) *patience {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &patience{log: log, what: what, args: args, limit: patienceMax}
}

// judge returns nil if the work should be tried again, after a pause if it failed, or the error to give up with.
func (p *patience) judge(ctx context.Context, err error) error {
	if err == nil {
		p.since, p.warned = time.Time{}, time.Time{}
		return ctx.Err()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	now := time.Now()
	if p.since.IsZero() {
		p.since = now
	}
	if p.limit > 0 && (hopeless(err) || now.Sub(p.since) > p.limit) {
		return err
	}
	if now.Sub(p.warned) >= warnEvery {
		p.warned = now
		p.log.Warn(p.what, append(p.args, "since", now.Sub(p.since).Round(time.Second), "err", err)...)
	}
	return pause(ctx, retryPause)
}

// Patiently asks a cluster until it answers: one that is out of reach, or just coming up, is waited for until ctx is done. An
// answer that will not change ends the asking, too, and is returned.
func (c Config) Patiently(ctx context.Context, ask func(context.Context) error) error {
	trouble := newPatience(c.Log, "starting waits for the cluster")
	trouble.limit = 0
	for {
		err := ask(ctx)
		if err == nil || hopeless(err) {
			return err
		}
		if err := trouble.judge(ctx, err); err != nil {
			return err
		}
	}
}

// hopeless errors are answers, not trouble on the way to one.
func hopeless(err error) bool {
	var answer *kerr.Error
	return errors.As(err, &answer) && !answer.Retriable
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
