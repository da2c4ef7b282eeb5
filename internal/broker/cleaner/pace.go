package cleaner

import (
	"context"
	"time"
)

// A pace makes work wait so that it takes no more than so many bytes per second. It is for one goroutine.
type pace struct {
	perSecond float64 // 0: no limit
	owed      time.Duration
}

// wait sleeps for what the bytes should take. Small amounts add up first: a sleep is not exact.
func (p *pace) wait(ctx context.Context, bytes int) error {
	const worth = 5 * time.Millisecond
	if p.perSecond <= 0 {
		return nil
	}
	p.owed += time.Duration(float64(bytes) / p.perSecond * float64(time.Second))
	if p.owed < worth {
		return nil
	}
	timer := time.NewTimer(p.owed)
	defer timer.Stop()
	p.owed = 0
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
