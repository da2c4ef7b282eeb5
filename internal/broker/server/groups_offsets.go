package server

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ravenswood.dev/internal/broker/group"
)

// commit writes and applies an entry of offsets. The caller holds gate and the group.
func (gs *groups) commit(e group.OffsetsEntry) *kerr.Error {
	if e.Empty() {
		return nil
	}
	if gs.s.note(entryOffsets, e) != nil {
		return kerr.CoordinatorNotAvailable
	}
	gs.restore(e)
	return nil
}

// within runs do with gate and a group held, and then waits for the journal.
func (gs *groups) within(ctx context.Context, name string, do func(*group.Group, time.Time) *kerr.Error) *kerr.Error {
	failed := gs.holding(name, do)
	if failed == nil && gs.s.lasting(ctx) != nil {
		failed = kerr.CoordinatorNotAvailable
	}
	return failed
}

func (gs *groups) holding(name string, do func(*group.Group, time.Time) *kerr.Error) *kerr.Error {
	gs.s.gate.RLock()
	defer gs.s.gate.RUnlock()
	g := gs.locked(name)
	defer gs.done(name, g)
	return do(g.g, time.Now())
}

// nothing holds a group for a moment.
func nothing(*group.Group, time.Time) *kerr.Error { return nil }
