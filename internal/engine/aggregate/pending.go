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
//	's'                          ─▶ how often something was taken out
//
// An entry may be due at several times, as a session that went on: the earlier ones find that it is not due yet.
//
// To know without a search whether anything is due, pending remembers the earliest time. What was taken out comes back
// if the record at work fails or the transaction is undone, and nobody says so: therefore the memory counts only as long
// as the store's number of sweeps is the one it was made at. That it may be too early, where something was added that
// did not stay, does no harm.
type pending struct {
	kv     store.KeyValue
	known  bool
	sweeps uint64
	next   int64 // milliseconds
	buf    []byte
	due    [][]byte // scratch
}

const (
	spaceDue    = 'd'
	spaceOpen   = 'o'
	spaceSweeps = 's'

	sweepMax = 512 // entries that are held in memory at a time while they are taken out
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

// isDue says whether a sweep would find anything.
func (p *pending) isDue(now time.Time) bool {
	if n := p.swept(); !p.known || n != p.sweeps {
		p.known, p.sweeps, p.next = true, n, p.first()
	}
	return p.next <= now.UnixMilli()
}

func (p *pending) swept() uint64 {
	e, ok := p.kv.Get([]byte{spaceSweeps})
	if !ok || len(e.Value) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(e.Value)
}

func (p *pending) first() int64 {
	for k := range p.kv.Range([]byte{spaceDue}, []byte{spaceDue + 1}) {
		return millisAt(k[1:])
	}
	return math.MaxInt64
}

// sweep takes out what is due and visits it, in the order of due time, start and key. Visit returns when the entry
// is due again if it is not due yet; it removes or keeps it.
func (p *pending) sweep(now time.Time, visit func(key []byte, start time.Time, e store.Entry) (again time.Time, err error)) error {
	for taken := false; ; taken = true {
		if !p.collect(now) {
			if taken {
				p.sweeps++
				p.kv.Put([]byte{spaceSweeps}, store.Entry{Value: binary.BigEndian.AppendUint64(nil, p.sweeps), Time: now})
			}
			p.next = p.first()
			return nil
		}
		for _, due := range p.due {
			p.kv.Delete(due, now)
			start, key := timeAt(due[9:]), due[17:]
			e, ok := p.get(key, start)
			if !ok {
				continue
			}
			again, err := visit(key, start, e)
			if err != nil {
				return err
			}
			if !again.IsZero() {
				p.await(key, start, again)
			}
		}
	}
}

// collect fills due with the next keys that are.
func (p *pending) collect(now time.Time) bool {
	p.due = p.due[:0]
	for k := range p.kv.Range([]byte{spaceDue}, appendMillis([]byte{spaceDue}, now.UnixMilli()+1)) {
		p.due = append(p.due, append([]byte(nil), k...))
		if len(p.due) == sweepMax {
			break
		}
	}
	return len(p.due) > 0
}
