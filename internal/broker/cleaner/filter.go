package cleaner

import (
	"maps"
	"sort"

	"ravenswood.dev/internal/broker/batch"
	"ravenswood.dev/internal/broker/commitlog"
)

// A filter decides what stays of each batch of a partition, told of them in order from the beginning.
//
// What goes: a record for whose key there is a newer one below covered; a tombstone that has been kept long enough; every
// record of an aborted transaction; the marker of a transaction when nothing of the transaction was left before this pass
// and the marker has been kept long enough. What always stays: records without a key, since no newer one replaces them; the
// last batch of each producer, if need be without records, since it carries the sequence; the last batch of what is written
// as one segment, so that the segment still ends where it did.
type filter struct {
	latest    func(key []byte) (offset int64, known bool)
	lastBatch func(producer int64) (last int64, known bool)
	covered   int64 // offsets that latest knows of
	horizon   int64 // tombstones and markers below it have been kept for long enough

	aborted abortedIndex          // transactions that reach into the segment at hand
	open    map[int64]transaction // producers in a transaction at this point
	waiting int64                 // first tombstone or marker that is kept for its time only; -1: none
	removed int64                 // records
}

// A transaction is what was met of one that has not come to its marker.
type transaction struct{ kept bool }

// clone is for looking ahead.
func (f *filter) clone() *filter {
	c := *f
	c.open = maps.Clone(f.open)
	return &c
}

// decide returns what is left of a batch: raw itself, other bytes, or nil when nothing is. last is the last batch of its group.
func (f *filter) decide(h batch.Header, raw []byte, last bool) ([]byte, error) {
	if h.Control() {
		return f.marker(h, raw, last), nil
	}
	left, err := f.records(h, raw, last || f.lastOfProducer(h))
	if h.Transactional() {
		f.open[h.ProducerID] = transaction{kept: left != nil || f.open[h.ProducerID].kept}
	}
	return left, err
}

func (f *filter) marker(h batch.Header, raw []byte, last bool) []byte {
	t, some := f.open[h.ProducerID]
	delete(f.open, h.ProducerID)
	if some && t.kept {
		return raw
	}
	if !some && h.BaseOffset < f.horizon && !last && !f.lastOfProducer(h) {
		f.removed += int64(h.Records)
		return nil
	}
	if some || h.BaseOffset >= f.horizon {
		f.wait(h.BaseOffset)
	}
	return raw
}

func (f *filter) wait(offset int64) {
	if f.waiting < 0 {
		f.waiting = offset
	}
}

// records is what is left of a batch of records; must says that the batch stays even without any.
func (f *filter) records(h batch.Header, raw []byte, must bool) ([]byte, error) {
	if h.BaseOffset >= f.covered {
		return raw, nil
	}
	keep := f.stays
	if f.aborted.has(h) {
		keep = func(batch.Record) bool { return false }
	}
	if h.Records == 0 {
		if must {
			return raw, nil
		}
		return nil, nil
	}
	left, err := batch.Keep(raw, batch.InflatedBytesMax, keep)
	if err != nil {
		return nil, err
	}
	after, err := batch.Parse(left)
	if err != nil {
		return nil, err
	}
	f.removed += int64(h.Records - after.Records)
	if after.Records == 0 && !must {
		return nil, nil
	}
	return left, nil
}

func (f *filter) stays(r batch.Record) bool {
	if r.Key == nil {
		return true
	}
	if last, known := f.latest(r.Key); known && last > r.Offset {
		return false
	}
	if r.Value != nil {
		return true
	}
	if r.Offset < f.horizon {
		return false
	}
	f.wait(r.Offset)
	return true
}

func (f *filter) lastOfProducer(h batch.Header) bool {
	if h.ProducerID < 0 {
		return false
	}
	last, known := f.lastBatch(h.ProducerID)
	return known && last == h.Next()-1
}

// abortedIndex has the transactions that were given up, by producer and in order: those of one producer do not overlap.
type abortedIndex map[int64][]commitlog.Aborted

func indexAborted(all []commitlog.Aborted) abortedIndex {
	x := make(abortedIndex, len(all))
	for _, a := range all {
		x[a.ProducerID] = append(x[a.ProducerID], a)
	}
	return x
}

// has says whether a batch belongs to one of them.
func (x abortedIndex) has(h batch.Header) bool {
	if !h.Transactional() || h.Control() {
		return false
	}
	of := x[h.ProducerID]
	i := sort.Search(len(of), func(i int) bool { return of[i].Last > h.BaseOffset })
	return i < len(of) && of[i].First <= h.BaseOffset
}
