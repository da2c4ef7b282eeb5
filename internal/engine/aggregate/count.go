package aggregate

import (
	"encoding/binary"
	"fmt"

	"ravenswood.dev/internal/record"
)

// Count counts records. The aggregate is 8 bytes, big-endian: what a Java client's Long is.
func Count() Input {
	return Input{
		Add:    func(_ *record.Record, n []byte) ([]byte, error) { return addCount(n, 1) },
		Remove: func(_ *record.Record, n []byte) ([]byte, error) { return addCount(n, -1) },
	}
}

// MergeCounts merges two aggregates of Count.
func MergeCounts(_, a, b []byte) ([]byte, error) {
	n, err := countOf(b)
	if err != nil {
		return nil, err
	}
	return addCount(a, n)
}

func addCount(n []byte, by int64) ([]byte, error) {
	v, err := countOf(n)
	return binary.BigEndian.AppendUint64(nil, uint64(v+by)), err
}

func countOf(b []byte) (int64, error) {
	switch len(b) {
	case 0:
		return 0, nil
	case 8:
		return int64(binary.BigEndian.Uint64(b)), nil
	}
	return 0, fmt.Errorf("read count: it has %d bytes, want 8", len(b))
}

// Reduce joins the values of a group with the one before, two by two. The first record's value is the aggregate.
func Reduce(join func(key, aggregate, value []byte) ([]byte, error)) Input {
	return Input{Add: func(r *record.Record, aggregate []byte) ([]byte, error) {
		if aggregate == nil {
			return r.Value, nil
		}
		return join(r.Key, aggregate, r.Value)
	}}
}
