package aggregate

import (
	"encoding/binary"
	"iter"
	"math"
	"time"

	"ravenswood.dev/internal/engine/store"
)

// pending is what waits to be given out: one entry for each key and start, and for each the time at which it is due.
//
//	'o' length-of-key key start  ─▶ the entry
//	'd' due start key            ─▶ nothing: the order in which entries become due
//	's'                          ─▶ how often something was taken out, and the time before which nothing is due
//
// An entry may be due at several times, as a session that went on: the earlier ones find that it is not due yet.
//
// To know without a search whether anything is due, pending remembers the earliest time. What was taken out comes back
// if the record at work fails or the transaction is undone, and nobody says so: therefore the memory counts only as long
// as the store's number of sweeps is the one it was made at. That it may be too early, where something was added that
// did not stay, does no harm.
//
// A search begins at the floor, never at the beginning: what was taken out lies there as deletions, which cost as much to
// pass as what is there. With a search for each record and a deletion by each, a long transaction would never end.
type pending struct {
	kv     store.KeyValue
	known  bool
	sweeps uint64
	floor  int64 // milliseconds: nothing is due before
	next   int64 // milliseconds
	// starts is where a search for the entries of a key begins, for the same reason; of some keys only.
	starts map[string]int64
	buf    []byte
	due    [][]byte // scratch
}

const (
	spaceDue    = 'd'
	spaceOpen   = 'o'
	spaceSweeps = 's'

	sweepMax  = 512  // entries that are held in memory at a time while they are taken out
	startsMax = 4096 // keys of which it is remembered where their entries begin

	minMillis = -1 << 62 // before any record
)

func appendTime(dst []byte, t time.Time) []byte { return appendMillis(dst, t.UnixMilli()) }

// appendMillis keeps the order of negative numbers, too.
func appendMillis(dst []byte, ms int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(ms)^1<<63)
}

func millisAt(b []byte) int64 { return int64(binary.BigEndian.Uint64(b) ^ 1<<63) }

func timeAt(b []byte) time.Time { return time.UnixMilli(millisAt(b)).UTC() }

func (p *pending) openKey(key []byte, start time.Time) []byte {
	p.buf = appendTime(p.prefix(key), start)
	return p.buf
}

func (p *pending) prefix(key []byte) []byte {
	p.buf = binary.AppendUvarint(append(p.buf[:0], spaceOpen), uint64(len(key)))
	p.buf = append(p.buf, key...)
	return p.buf
}

func (p *pending) dueKey(due, start time.Time, key []byte) []byte {
	p.buf = appendTime(append(p.buf[:0], spaceDue), due)
	p.buf = append(appendTime(p.buf, start), key...)
	return p.buf
}

func (p *pending) get(key []byte, start time.Time) (store.Entry, bool) {
	return p.kv.Get(p.openKey(key, start))
}

func (p *pending) put(key []byte, start time.Time, e store.Entry) {
	p.kv.Put(p.openKey(key, start), e)
}

func (p *pending) remove(key []byte, start, at time.Time) {
	p.kv.Delete(p.openKey(key, start), at)
}

// await says when the entry of a key and start is due.
func (p *pending) await(key []byte, start, due time.Time) {
	p.kv.Put(p.dueKey(due, start, key), store.Entry{Value: []byte{1}, Time: start})
	p.next = min(p.next, due.UnixMilli())
	if p.next < p.floor { // event time has begun anew
		p.floor = p.next
		p.note(start)
	}
}

// of visits the entries of a key with from <= start <= to, by start.
func (p *pending) of(key []byte, from, to time.Time) iter.Seq2[time.Time, store.Entry] {
	prefix := p.prefix(key)
	n := len(prefix)
	first := appendTime(append([]byte(nil), prefix...), from)
	end := appendMillis(append([]byte(nil), prefix...), to.UnixMilli()+1)
	return func(yield func(time.Time, store.Entry) bool) {
		for k, e := range p.kv.Range(first, end) {
			if !yield(timeAt(k[n:]), e) {
				return
			}
		}
	}
}

// upTo visits the entries of a key with start <= to, by start, for a record of the time t <= to. If the record makes an entry,
// this begins at t or where one that was visited does.
func (p *pending) upTo(key []byte, t, to time.Time) iter.Seq2[time.Time, store.Entry] {
	return func(yield func(time.Time, store.Entry) bool) {
		begin, known := p.starts[string(key)]
		if !known {
			begin = minMillis
		}
		first := t.UnixMilli()
		for start, e := range p.of(key, time.UnixMilli(begin), to) {
			first = min(first, start.UnixMilli())
			if !yield(start, e) {
				break
			}
		}
		if known && first == begin {
			return
		}
		if p.starts == nil || len(p.starts) >= startsMax {
			p.starts = make(map[string]int64)
		}
		p.starts[string(key)] = first
	}
}

// isDue says whether a sweep would find anything.
func (p *pending) isDue(now time.Time) bool {
	if n, floor := p.noted(); !p.known || n != p.sweeps {
		p.known, p.sweeps, p.floor = true, n, floor
		clear(p.starts)
		p.next = p.first()
	}
	return p.next <= now.UnixMilli()
}

// noted reads what note wrote.
func (p *pending) noted() (sweeps uint64, floor int64) {
	e, ok := p.kv.Get([]byte{spaceSweeps})
	switch {
	case !ok || len(e.Value) != 8 && len(e.Value) != 16:
		return 0, minMillis
	case len(e.Value) == 8: // as it was before there was a floor
		return binary.BigEndian.Uint64(e.Value), minMillis
	}
	return binary.BigEndian.Uint64(e.Value), millisAt(e.Value[8:])
}

func (p *pending) note(at time.Time) {
	value := binary.BigEndian.AppendUint64(make([]byte, 0, 16), p.sweeps)
	p.kv.Put([]byte{spaceSweeps}, store.Entry{Value: appendMillis(value, p.floor), Time: at})
}

// first is when the first entry is due.
func (p *pending) first() int64 {
	for k := range p.kv.Range(appendMillis([]byte{spaceDue}, p.floor), []byte{spaceDue + 1}) {
		return millisAt(k[1:])
	}
	return math.MaxInt64
}

// sweep takes out what is due and visits it, in the order of due time, start and key. Visit returns when the entry
// is due again if it is not due yet; it removes or keeps it.
func (p *pending) sweep(now time.Time, visit func(key []byte, start time.Time, e store.Entry) (again time.Time, err error)) error {
	from, taken := appendMillis([]byte{spaceDue}, p.floor), false
	for p.collect(from, now) {
		taken = true
		for _, due := range p.due {
			if err := p.take(due, now, visit); err != nil {
				return err
			}
		}
		from = append(p.due[len(p.due)-1], 0)
	}
	if taken {
		p.sweeps++
		p.floor = now.UnixMilli()
		p.note(now)
	}
	p.next = p.first()
	return nil
}

// take takes out one entry that is due.
func (p *pending) take(due []byte, now time.Time, visit func([]byte, time.Time, store.Entry) (time.Time, error)) error {
	p.kv.Delete(due, now)
	start, key := timeAt(due[9:]), due[17:]
	e, ok := p.get(key, start)
	if !ok {
		return nil
	}
	again, err := visit(key, start, e)
	if err == nil && !again.IsZero() {
		p.await(key, start, again)
	}
	return err
}

// collect fills due with the next keys that are, from one on.
func (p *pending) collect(from []byte, now time.Time) bool {
	p.due = p.due[:0]
	for k := range p.kv.Range(from, appendMillis([]byte{spaceDue}, now.UnixMilli()+1)) {
		p.due = append(p.due, append([]byte(nil), k...))
		if len(p.due) == sweepMax {
			break
		}
	}
	return len(p.due) > 0
}
