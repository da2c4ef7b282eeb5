package join

import (
	"time"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
)

// StreamTableConfig joins each record of a stream with an entry of a table: the one its key has when the record is worked
// on. Changes of the table have no results of their own.
type StreamTableConfig struct {
	Table Source
	Type  Type // Inner or Left
	// Key derives the table's key from a record; nil takes the record's. Only a global table can be asked for another
	// key, since the others hold the keys of their task only. If it gives none, an inner join drops the record and a
	// left join has no entry for it.
	Key func(r *record.Record) ([]byte, error)
	// AsOf is the time for which a versioned table is asked; nil takes the record's event time.
	AsOf func(r *record.Record) (time.Time, error)
	// Latest asks a versioned table for the latest version.
	Latest bool
	// Join makes the value of the result, which is the record otherwise: key, headers and event time are the stream's.
	// It must not change the record.
	Join    func(r *record.Record, right []byte) ([]byte, error)
	Format  record.Format // of what Join returns
	Dropped Dropped
}

// Reads are the stores of other bolts that the join reads.
func (c StreamTableConfig) Reads() []string { return []string{c.Table.Store} }

// NewStreamTable makes the processor. Records without a value, or without a key where Key is nil, are dropped.
func NewStreamTable(c StreamTableConfig) processor.Processor { return &streamTable{cfg: c} }

type streamTable struct {
	losses
	cfg   StreamTableConfig
	c     processor.Context
	table reader
}

// Open implements processor.Processor.
func (j *streamTable) Open(c processor.Context) error {
	j.c, j.table = c, j.cfg.Table.open(c)
	j.tell(c, j.cfg.Dropped)
	return nil
}

// Process implements processor.Processor.
func (j *streamTable) Process(_ int, r *record.Record) error {
	if r.Value == nil {
		j.lose(NoValue)
		return nil
	}
	key, err := j.key(r)
	if err != nil {
		return err
	}
	if key == nil && (j.cfg.Key == nil || j.cfg.Type == Inner) {
		j.lose(NoKey)
		return nil
	}
	e, err := j.find(key, r)
	if err != nil || e.Value == nil && j.cfg.Type == Inner {
		return err
	}
	if r.Value, err = j.cfg.Join(r, e.Value); err != nil {
		return err
	}
	r.Old, r.Format = nil, j.cfg.Format
	j.c.Emit(0, r)
	return nil
}

func (j *streamTable) key(r *record.Record) ([]byte, error) {
	if j.cfg.Key == nil {
		return r.Key, nil
	}
	return j.cfg.Key(r)
}

func (j *streamTable) find(key []byte, r *record.Record) (store.Entry, error) {
	switch {
	case key == nil:
		return store.Entry{}, nil
	case !j.cfg.Table.Versioned || j.cfg.Latest:
		return j.table.latest(key)
	case j.cfg.AsOf == nil:
		return j.table.asOf(key, r.Time)
	}
	at, err := j.cfg.AsOf(r)
	if err != nil {
		return store.Entry{}, err
	}
	return j.table.asOf(key, at)
}
