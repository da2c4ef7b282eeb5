package commitlog_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"testing"

	"ravenswood.dev/internal/broker/batch"
	"ravenswood.dev/internal/broker/commitlog"
	"ravenswood.dev/internal/broker/disk"
)

// A spec says what a batch of a test is.
type spec struct {
	base   int64
	times  []int64 // one record each
	size   int     // of each value
	epoch  int32
	pid    int64 // -1: none; others are in a transaction
	marker string
}

// make builds the batch.
func (s spec) make() []byte {
	if s.marker != "" {
		raw := batch.EncodeMarker(batch.Marker{ProducerID: s.pid, Commit: s.marker == "commit"})
		batch.SetBase(raw, s.base, s.epoch)
		return raw
	}
	raw := make([]byte, batch.HeaderBytes)
	for i, at := range s.times {
		body := binary.AppendVarint([]byte{0}, at-s.times[0])
		body = binary.AppendVarint(body, int64(i))
		key := fmt.Sprintf("k%d", (s.base+int64(i))%5)
		body = append(binary.AppendVarint(body, int64(len(key))), key...)
		body = append(binary.AppendVarint(body, int64(s.size)), bytes.Repeat([]byte{byte(s.base)}, s.size)...)
		body = binary.AppendVarint(body, 0)
		raw = append(binary.AppendVarint(raw, int64(len(body))), body...)
	}
	raw[16] = 2
	if s.pid >= 0 {
		raw[22] = 0x10
	}
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[23:], uint32(len(s.times)-1))
	binary.BigEndian.PutUint64(raw[27:], uint64(s.times[0]))
	binary.BigEndian.PutUint64(raw[35:], uint64(slices.Max(s.times)))
	binary.BigEndian.PutUint64(raw[43:], uint64(s.pid))
	binary.BigEndian.PutUint32(raw[57:], uint32(len(s.times)))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	batch.SetBase(raw, s.base, s.epoch)
	return raw
}

// records is a batch of n records at a base offset, all of one time.
func records(base int64, n, size int) []byte {
	return spec{base: base, times: slices.Repeat([]int64{1000 + base}, n), size: size, pid: -1}.make()
}

// A tracker is a small commitlog.Tracker: it knows open transactions and a sum over everything it saw.
type tracker struct {
	Open map[int64]int64 // producer: first offset
	Sum  uint32
	Next int64
}

func newTracker() *tracker { return &tracker{Open: map[int64]int64{}} }

func (t *tracker) Observe(h batch.Header, raw []byte) *commitlog.Aborted {
	t.Sum = crc32.Update(t.Sum, crc32.IEEETable, binary.BigEndian.AppendUint64(nil, uint64(h.BaseOffset^h.ProducerID)))
	t.Next = h.Next()
	if !h.Transactional() {
		return nil
	}
	first, open := t.Open[h.ProducerID]
	if !h.Control() {
		if !open {
			t.Open[h.ProducerID] = h.BaseOffset
		}
		return nil
	}
	delete(t.Open, h.ProducerID)
	m, err := batch.ParseMarker(raw)
	if err != nil || m.Commit || !open {
		return nil
	}
	stable := h.Next()
	for _, f := range t.Open {
		stable = min(stable, f)
	}
	return &commitlog.Aborted{ProducerID: h.ProducerID, First: first, Last: h.BaseOffset, Stable: stable}
}

func (t *tracker) Snapshot() []byte {
	b, err := json.Marshal(t)
	if err != nil {
		panic(err)
	}
	return b
}

func (t *tracker) Restore(b []byte) error {
	*t = *newTracker()
	if len(b) == 0 {
		return nil
	}
	return json.Unmarshal(b, t)
}

// A twin is the obvious log: a list of batches.
type twin struct {
	batches [][]byte
	start   int64
	end     int64
	durable int64
	tracker *tracker
	states  map[int64]string // of the tracker by end
	aborted []commitlog.Aborted
	after   [][]byte // what the batches become when the compaction under way is done; nil: there is none
}

func newTwin() *twin {
	w := &twin{tracker: newTracker(), states: map[int64]string{}}
	w.states[0] = string(w.tracker.Snapshot())
	return w
}

// append takes a batch in.
func (w *twin) append(raw []byte) {
	h := header(raw)
	if a := w.tracker.Observe(h, raw); a != nil {
		w.aborted = append(w.aborted, *a)
	}
	w.batches = append(w.batches, raw)
	w.end = h.Next()
	w.states[w.end] = string(w.tracker.Snapshot())
}

// from returns the batches that a reader from an offset gets, of those that end at or below upTo.
func from(batches [][]byte, offset, upTo int64) []byte {
	var out []byte
	for _, raw := range batches {
		if h := header(raw); h.Next() > offset && h.Next() <= upTo {
			out = append(out, raw...)
		}
	}
	return out
}

// byTime is the dumb search.
func (w *twin) byTime(millis, upTo int64) (offset, at int64, found bool) {
	for _, raw := range w.batches {
		if header(raw).Next() > upTo {
			break
		}
		for r, err := range batch.Records(raw, math.MaxInt32) {
			if err == nil && r.Timestamp >= millis && r.Offset >= w.start {
				return r.Offset, r.Timestamp, true
			}
		}
	}
	return 0, 0, false
}

// abortedIn lists those that touch a range and whose marker is still there.
func (w *twin) abortedIn(from, upTo int64) []commitlog.Aborted {
	there := map[int64]bool{}
	for _, raw := range w.batches {
		there[header(raw).BaseOffset] = true
	}
	var out []commitlog.Aborted
	for _, a := range w.aborted {
		if there[a.Last] && a.First < upTo && a.Last >= from {
			out = append(out, a)
		}
	}
	return out
}

func header(raw []byte) batch.Header {
	h, err := batch.Parse(raw)
	if err != nil {
		panic(err)
	}
	return h
}

// options of small segments, so that little makes much happen.
func options(t *tracker) commitlog.Options {
	return commitlog.Options{SegmentBytes: 900, IndexBytes: 200, Tracker: t, NewTracker: func() commitlog.Tracker { return newTracker() }}
}

const dir = "topics/t/0"

// open opens the log of a test.
func open(t testing.TB, fs disk.FS, o commitlog.Options) (*commitlog.Log, commitlog.Recovery) {
	t.Helper()
	l, r, err := commitlog.Open(fs, dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return l, r
}

// add appends a batch.
func add(t testing.TB, l *commitlog.Log, raw []byte) {
	t.Helper()
	if err := l.Append(header(raw), raw); err != nil {
		t.Fatal(err)
	}
}

// readAll reads from an offset to the end, a little at a time.
func readAll(l *commitlog.Log, from, upTo int64, max int) ([]byte, error) {
	var out []byte
	for from < upTo {
		old := len(out)
		var err error
		if out, err = l.Read(out, from, max, upTo); err != nil {
			return out, err
		}
		if len(out) == old {
			return out, nil
		}
		err = batch.Walk(out[old:], func(h batch.Header, _ []byte) bool { from = h.Next(); return true })
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// compact builds the segments that take the place of some and replaces them: of each batch the records at even offsets
// stay, of every third batch none. Control batches stay. Two segments become one.
func compact(l *commitlog.Log, w *twin, segs []commitlog.Segment) error {
	first, last := segs[0].Base, segs[len(segs)-1].Next
	var kept [][]byte
	after := [][]byte{} // not nil, even if nothing is left
	for i, raw := range w.batches {
		h := header(raw)
		if h.BaseOffset >= first && h.Next() <= last && !h.Control() {
			var err error
			if raw, err = batch.Keep(raw, math.MaxInt32, func(r batch.Record) bool { return i%3 != 0 && r.Offset%2 == 0 }); err != nil {
				return err
			}
			if header(raw).Records == 0 {
				continue
			}
		}
		after = append(after, raw)
		if h.BaseOffset >= first && h.Next() <= last {
			kept = append(kept, raw)
		}
	}
	var remove []int64
	for _, s := range segs {
		remove = append(remove, s.Base)
	}
	w.after = after
	add, err := build(l, first, kept)
	if err != nil {
		return err
	}
	if err := l.Replace(remove, add); err != nil {
		return err
	}
	w.batches, w.after = after, nil
	return nil
}

// build writes batches into two builders.
func build(l *commitlog.Log, base int64, kept [][]byte) ([]*commitlog.Builder, error) {
	var out []*commitlog.Builder
	for len(kept) > 0 || len(out) == 0 {
		n := (len(kept) + 1) / 2
		if len(out) == 1 {
			n = len(kept)
			base = header(kept[0]).BaseOffset
		}
		b, err := l.NewSegment(base)
		if err != nil {
			return nil, err
		}
		for _, raw := range kept[:n] {
			if err := b.Append(header(raw), raw); err != nil {
				return nil, err
			}
		}
		if err := b.Finish(); err != nil {
			return nil, err
		}
		out = append(out, b)
		kept = kept[n:]
	}
	return out, nil
}
