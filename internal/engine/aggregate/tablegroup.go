package aggregate

import (
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/record"
)

// Regroup gives a row of a table the key of its group, and the value that the group is made of. A nil key leaves the row
// out. It must give the same for the same row at all times: what it adds today it has to remove tomorrow.
type Regroup func(r *record.Record) (key, value []byte, err error)

// TableGroup groups a table by something else than its key: each change becomes a removal from the group that the row was
// in and an addition to the one that it is in now, marked with HeaderChange so that the aggregate behind the topic between
// them knows which is which. It keeps no state. Make it with NewTableGroup.
type TableGroup struct {
	Counters
	group Regroup
	ctx   processor.Context
}

var _ processor.Processor = (*TableGroup)(nil)

// NewTableGroup makes the processor.
func NewTableGroup(group Regroup) *TableGroup { return &TableGroup{group: group} }

// Open implements processor.Processor.
func (g *TableGroup) Open(c processor.Context) error {
	g.ctx = c
	return nil
}

// Process implements processor.Processor. The removal goes first: where both are of one group, it is seen without the row
// for a moment, never with the row twice.
func (g *TableGroup) Process(_ int, r *record.Record) error {
	if r.Key == nil {
		g.dropped.Add(1)
		return nil
	}
	if r.Old != nil {
		before := r.Clone()
		before.Value = r.Old
		if err := g.give(before, ChangeRemove); err != nil {
			return err
		}
	}
	if r.Value == nil {
		return nil
	}
	return g.give(r, ChangeAdd)
}

func (g *TableGroup) give(r *record.Record, change string) error {
	r.Old = nil
	key, value, err := g.group(r)
	if err != nil {
		return err
	}
	if key == nil || value == nil {
		g.dropped.Add(1)
		return nil
	}
	r.Key, r.Value = key, value
	r.SetHeader(HeaderChange, []byte(change))
	g.ctx.Emit(0, r)
	return nil
}
