package join

import (
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/record"
)

// TableTableConfig joins two tables by key: the result is a table. Input 0 of the bolt is the changes of the left table,
// input 1 those of the right one.
type TableTableConfig struct {
	Left, Right Source
	Type        Type
	Join        Joiner
	Format      record.Format // of what Join returns
	Dropped     Dropped
}

// Reads are the stores of other bolts that the join reads.
func (c TableTableConfig) Reads() []string { return []string{c.Left.Store, c.Right.Store} }

// NewTableTable makes the processor. It keeps nothing: both results, before and after a change, are calculated from the
// change and the other side's entry. The time of a result is the later of the two.
func NewTableTable(c TableTableConfig) processor.Processor { return &tableTable{cfg: c} }

type tableTable struct {
	losses
	cfg    TableTableConfig
	c      processor.Context
	others [2]reader // by input: the side that the change is joined with
}

// Open implements processor.Processor.
func (j *tableTable) Open(c processor.Context) error {
	j.c = c
	j.tell(c, j.cfg.Dropped)
	j.others = [2]reader{leftSide: j.cfg.Right.open(c), rightSide: j.cfg.Left.open(c)}
	return nil
}

// Process implements processor.Processor.
func (j *tableTable) Process(input int, r *record.Record) error {
	if r.Key == nil {
		j.lose(NoKey)
		return nil
	}
	if r.Value == nil && r.Old == nil {
		return nil // nothing was there and nothing is
	}
	other, err := j.others[input].latest(r.Key)
	if err != nil {
		return err
	}
	if r.Value, err = j.result(input, r.Key, r.Value, other.Value); err != nil {
		return err
	}
	if r.Old, err = j.result(input, r.Key, r.Old, other.Value); err != nil {
		return err
	}
	if r.Value == nil && r.Old == nil {
		return nil
	}
	r.Time, r.Format = later(r.Time, other.Time), j.cfg.Format
	j.c.Emit(0, r)
	return nil
}

// result is the entry that follows from the values of both sides, nil if there is none.
func (j *tableTable) result(input int, key, mine, other []byte) ([]byte, error) {
	left, right := mine, other
	if input == rightSide {
		left, right = other, mine
	}
	switch {
	case left == nil && right == nil,
		left == nil && !j.cfg.Type.keeps(rightSide),
		right == nil && !j.cfg.Type.keeps(leftSide):
		return nil, nil
	}
	return j.cfg.Join(key, left, right)
}
