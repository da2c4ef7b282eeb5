package aggregate

import (
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
)

// Counted is a processor that counts what it does not pass on.
type Counted interface {
	processor.Processor
	Late() uint64
	Dropped() uint64
}

// InBolt makes a processor, which knows its stores by their names within the bolt, find them under those of the plan: the
// main one under the bolt's own name, the others under that, a hyphen, and theirs.
func InBolt(p Counted) Counted { return placed{p} }

type placed struct{ Counted }

// Open implements processor.Processor.
func (p placed) Open(c processor.Context) error { return p.Counted.Open(boltContext{c}) }

type boltContext struct{ processor.Context }

func (c boltContext) name(within string) string {
	if within == StoreMain {
		return c.Bolt()
	}
	return c.Bolt() + "-" + within
}

// KeyValue implements processor.Context.
func (c boltContext) KeyValue(name string) store.KeyValue { return c.Context.KeyValue(c.name(name)) }

// Windows implements processor.Context.
func (c boltContext) Windows(name string) store.Windows { return c.Context.Windows(c.name(name)) }

// Sessions implements processor.Context.
func (c boltContext) Sessions(name string) store.Sessions { return c.Context.Sessions(c.name(name)) }
