package join

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"ravenswood.dev/internal/record"
)

// How many records are closed at once, at most: a jump of stream time must not make more results than memory holds. The
// rest follows after a pause, or when stream time moves again.
const (
	closingMax   = 10_000
	closingPause = 100 * time.Millisecond
)

// close emits the results of records whose window has closed without a partner, and forgets them. It runs whenever
// stream time has moved, also by records of other bolts.
func (j *streamStream) close(time.Time) error {
	room := closingMax
	for side := range j.earliest {
		if !j.cfg.Type.keeps(side) {
			continue
		}
		if err := j.closeSide(side, j.cut(side), &room); err != nil {
			return err
		}
	}
	return nil
}

// closeSide looks from where it found something last, not from the beginning: what was there is deleted, and on disk as
// slow to pass as what is not.
func (j *streamStream) closeSide(side int, cut int64, room *int) error {
	if j.earliest[side] >= cut {
		return nil
	}
	first := int64(math.MaxInt64)
	for key, e := range j.waiting.Range(waitPrefix(side, j.earliest[side]), waitPrefix(side+1, math.MinInt64)) {
		w, err := decodeWaiting(key, e.Value)
		if err != nil {
			return err
		}
		first = min(first, w.at)
		if w.at >= cut || *room == 0 {
			break
		}
		*room--
		j.waiting.Delete(key, e.Time)
		j.alone(side, w, e.Time)
	}
	j.earliest[side] = first
	return nil
}

// alone emits the result of a record that met nobody. If the joiner cannot make one, the record is dropped: the one that
// moved stream time is not to blame, and those that wait behind it must not wait for ever.
func (j *streamStream) alone(side int, w waitingRecord, at time.Time) {
	left, right := w.value, []byte(nil)
	if side == rightSide {
		left, right = nil, w.value
	}
	value, err := j.cfg.Join(w.key, left, right)
	if err != nil {
		j.lose(Failed)
		j.c.Log().Error("a record that met no partner has no result", "origin", w.origin.String(), "err", err)
		return
	}
	j.c.Emit(0, &record.Record{Key: w.key, Value: value, Time: at, Format: j.cfg.Format, Origin: w.origin})
}

// The entries of the store of waiting records, so that they lie in the order in which their windows close:
//
//	key: side 1 │ time 8, the sign bit turned │ sequence 8 │ key …    value: length of origin (uvarint) │ origin │ value …
const waitKeySize = 1 + 8 + 8

type waitingRecord struct {
	at     int64 // milliseconds
	key    []byte
	value  []byte
	origin record.Origin
}

func waitPrefix(side int, at int64) []byte {
	b := make([]byte, 0, waitKeySize)
	b = append(b, byte(side))
	return binary.BigEndian.AppendUint64(b, uint64(at)^1<<63)
}

func waitKey(side int, at int64, seq uint64, key []byte) []byte {
	return append(binary.BigEndian.AppendUint64(waitPrefix(side, at), seq), key...)
}

func encodeWaiting(r *record.Record) []byte {
	origin := r.Origin.String()
	b := make([]byte, 0, binary.MaxVarintLen64+len(origin)+len(r.Value))
	b = binary.AppendUvarint(b, uint64(len(origin)))
	b = append(b, origin...)
	return append(b, r.Value...)
}

func decodeWaiting(key, value []byte) (w waitingRecord, err error) {
	if len(key) < waitKeySize {
		return w, fmt.Errorf("read waiting record: its key has %d bytes, want at least %d", len(key), waitKeySize)
	}
	n, size := binary.Uvarint(value)
	if size <= 0 || n > uint64(len(value)-size) {
		return w, errors.New("read waiting record: it is cut off")
	}
	rest := value[size:]
	if n > 0 {
		// A record made by a test or a spout of its own may have no place in the log.
		w.origin, _ = record.ParseOrigin(string(rest[:n]))
	}
	w.at = int64(binary.BigEndian.Uint64(key[1:]) ^ 1<<63)
	w.key, w.value = key[waitKeySize:], rest[n:]
	return w, nil
}
