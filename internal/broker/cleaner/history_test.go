package cleaner

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"ravenswood.dev/internal/broker/batch"
	"ravenswood.dev/internal/broker/commitlog"
	"ravenswood.dev/internal/broker/config"
	"ravenswood.dev/internal/broker/disk"
	"ravenswood.dev/internal/broker/txn"
)

// A line is a record of the dumb twin: all that was ever written, in a list.
type line struct {
	offset   int64
	key      string // "": null
	value    string // "": null
	producer int64  // in a transaction; -1: in none
	decided  bool
	aborted  bool
}

// A history is a log with its twin.
type history struct {
	t interface {
		Helper()
		Fatalf(format string, args ...any)
	}
	files     *disk.Memory
	log       *commitlog.Log
	producers *txn.Producers
	twin      []line
	last      map[int64]int64 // last offset of each producer's last batch
	sequence  map[int64]int32
	now       time.Time
	settings  config.Topic
	mapBytes  int64
}

const dir = "topics/t/1/0"

func newHistory(t *testing.T, settings map[string]string) *history {
	h := &history{
		t: t, files: disk.NewMemory(), last: map[int64]int64{}, sequence: map[int64]int32{},
		now: time.UnixMilli(1_700_000_000_000), settings: config.Sources{}.Topic(settings), mapBytes: 1 << 20,
	}
	h.open()
	return h
}

func (h *history) open() {
	h.t.Helper()
	h.log, h.producers = reopen(h.t, h.files)
}

func reopen(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, files disk.FS,
) (*commitlog.Log, *txn.Producers) {
	t.Helper()
	producers := txn.NewProducers()
	log, _, err := commitlog.Open(files, dir, commitlog.Options{
		SegmentBytes: 1 << 20, IndexBytes: 100, Tracker: producers, NewTracker: func() commitlog.Tracker { return txn.NewProducers() },
	})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return log, producers
}

func (h *history) check(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("%v", err)
	}
}

// A pair is a record to write; an empty value is null.
type pair struct{ key, value string }

// write appends one batch. producer -1: not idempotent.
func (h *history) write(producer int64, transactional bool, pairs ...pair) {
	h.t.Helper()
	base := h.log.End()
	raw := encode(base, producer, h.sequence[producer], transactional, h.now.UnixMilli(), pairs)
	h.append(raw)
	for i, p := range pairs {
		l := line{offset: base + int64(i), key: p.key, value: p.value, producer: -1, decided: !transactional}
		if transactional {
			l.producer = producer
		}
		h.twin = append(h.twin, l)
	}
	if producer >= 0 {
		h.sequence[producer] += int32(len(pairs))
		h.last[producer] = h.log.End() - 1
	}
}

func (h *history) append(raw []byte) {
	h.t.Helper()
	head, err := batch.Parse(raw)
	h.check(err)
	h.check(h.log.Append(head, raw))
}

// end ends a producer's transaction if it has one here.
func (h *history) end(producer int64, commit bool) {
	h.t.Helper()
	if _, open := h.producers.OpenOf(producer); !open {
		return
	}
	raw := batch.EncodeMarker(batch.Marker{ProducerID: producer, Commit: commit, Time: h.now})
	batch.SetBase(raw, h.log.End(), 0)
	h.append(raw)
	for i := range h.twin {
		if l := &h.twin[i]; l.producer == producer && !l.decided {
			l.decided, l.aborted = true, !commit
		}
	}
}

func (h *history) stable() int64 { return stable(h.log, h.producers) }

func stable(log *commitlog.Log, producers *txn.Producers) int64 {
	if first, open := producers.FirstOpen(); open {
		return first
	}
	return log.End()
}

func (h *history) partition() Partition {
	return Partition{
		Topic: "t", Settings: h.settings, Log: h.log, Files: h.files, Dir: dir, Stable: h.stable,
		LastBatch: func(id int64) (int64, bool) { last, ok := h.last[id]; return last, ok },
		Change:    func(f func() error) error { return f() },
		SetStart:  h.log.SetStart,
	}
}

func (h *history) cleaner() *Cleaner {
	return New(Options{
		Partitions: func() []Partition { return []Partition{h.partition()} },
		Settings: func() Settings {
			return Settings{MapBytes: h.mapBytes, Compact: true, RetentionEvery: time.Millisecond, CompactEvery: time.Millisecond}
		},
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return h.now },
	})
}

func (h *history) compact() Compacted {
	h.t.Helper()
	done, err := h.cleaner().Compact(h.context(), h.partition())
	h.check(err)
	return done
}

// wanted is what a reader of committed records must see: the last value of each key below the last stable offset.
func (h *history) wanted() map[string]string {
	view := map[string]string{}
	for _, l := range h.twin {
		if l.offset < h.stable() && !l.aborted {
			apply(view, l.key, l.value)
		}
	}
	return view
}

func apply(view map[string]string, key, value string) {
	switch {
	case key == "":
	case value == "":
		delete(view, key)
	default:
		view[key] = value
	}
}

// A reader reads committed records the way a client does.
type reader struct {
	next int64
	view map[string]string
	seen []line
}

func newReader() *reader { return &reader{view: map[string]string{}} }

// fetch is one request: a few batches, with the transactions in them that were aborted.
func (r *reader) fetch(log *commitlog.Log, upTo int64) (more bool, err error) {
	r.next = max(r.next, log.Start())
	raw, err := log.Read(nil, r.next, 200, upTo)
	if err != nil || len(raw) == 0 {
		return false, err
	}
	aborted, err := log.Aborted(r.next, upTo)
	if err != nil {
		return false, err
	}
	slices.SortFunc(aborted, func(a, b commitlog.Aborted) int { return cmp.Compare(a.First, b.First) })
	dropping := map[int64]bool{}
	return true, batch.Walk(raw, func(h batch.Header, raw []byte) bool {
		if err := batch.Check(raw); err != nil {
			panic(err)
		}
		for len(aborted) > 0 && aborted[0].First <= h.Next()-1 {
			dropping[aborted[0].ProducerID] = true
			aborted = aborted[1:]
		}
		r.take(h, raw, dropping)
		r.next = h.Next()
		return true
	})
}

func (r *reader) take(h batch.Header, raw []byte, dropping map[int64]bool) {
	if h.Control() {
		if m, err := batch.ParseMarker(raw); err == nil && !m.Commit {
			delete(dropping, h.ProducerID)
		}
		return
	}
	for rec, err := range batch.Records(raw, 1<<20) {
		if err != nil {
			panic(err)
		}
		if rec.Offset < r.next {
			continue // the batch began before what was asked for
		}
		l := line{offset: rec.Offset, key: string(rec.Key), value: string(rec.Value), aborted: h.Transactional() && dropping[h.ProducerID]}
		r.seen = append(r.seen, l)
		if !l.aborted {
			apply(r.view, l.key, l.value)
		}
	}
}

func readAll(log *commitlog.Log, upTo int64) (*reader, error) {
	r := newReader()
	for {
		if more, err := r.fetch(log, upTo); err != nil || !more {
			return r, err
		}
	}
}

// verify compares a log with the twin.
func (h *history) verify(log *commitlog.Log, upTo int64) error {
	segments := log.Segments()
	for i, s := range segments[1:] {
		if segments[i].Next != s.Base {
			return fmt.Errorf("a segment ends at %d, and the next one begins at %d", segments[i].Next, s.Base)
		}
	}
	r, err := readAll(log, upTo)
	if err != nil {
		return err
	}
	if want := h.wanted(); !maps.Equal(r.view, want) {
		return fmt.Errorf("a reader sees %v, want %v\nrecords: %v\nhistory: %v", r.view, want, r.seen, h.twin)
	}
	for _, l := range r.seen {
		i := slices.IndexFunc(h.twin, func(x line) bool { return x.offset == l.offset })
		if i < 0 || h.twin[i].key != l.key || h.twin[i].value != l.value {
			return fmt.Errorf("the record at offset %d is %v, which was never written there", l.offset, l)
		}
	}
	return nil
}

// encode makes a batch.
func encode(base, producer int64, sequence int32, transactional bool, millis int64, pairs []pair) []byte {
	raw := make([]byte, batch.HeaderBytes)
	for i, p := range pairs {
		body := []byte{0, 0}
		body = binary.AppendVarint(body, int64(i))
		body = appendBytes(body, p.key)
		body = appendBytes(body, p.value)
		body = append(body, 0)
		raw = append(binary.AppendVarint(raw, int64(len(body))), body...)
	}
	epoch := int16(0)
	if producer < 0 {
		epoch, sequence = -1, -1
	}
	binary.BigEndian.PutUint64(raw, uint64(base))
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	raw[16] = 2
	if transactional {
		raw[22] = 0x10
	}
	binary.BigEndian.PutUint32(raw[23:], uint32(len(pairs)-1))
	binary.BigEndian.PutUint64(raw[27:], uint64(millis))
	binary.BigEndian.PutUint64(raw[35:], uint64(millis))
	binary.BigEndian.PutUint64(raw[43:], uint64(producer))
	binary.BigEndian.PutUint16(raw[51:], uint16(epoch))
	binary.BigEndian.PutUint32(raw[53:], uint32(sequence))
	binary.BigEndian.PutUint32(raw[57:], uint32(len(pairs)))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}

func appendBytes(b []byte, s string) []byte {
	if s == "" {
		return binary.AppendVarint(b, -1)
	}
	return append(binary.AppendVarint(b, int64(len(s))), s...)
}

func TestTheTwinsBatchesAreValid(t *testing.T) {
	raw := encode(7, 3, 0, true, 1000, []pair{{"a", "1"}, {"b", ""}})
	h, err := batch.Parse(raw)
	if err != nil || batch.Check(raw) != nil || h.Next() != 9 || !h.Transactional() {
		t.Fatalf("%+v, %v", h, err)
	}
	var got bytes.Buffer
	for r, err := range batch.Records(raw, 1000) {
		fmt.Fprint(&got, r.Offset, string(r.Key), r.Value, err, " ")
	}
	if got.String() != "7a[49] <nil> 8b[] <nil> " {
		t.Errorf("got %q", got.String())
	}
}
