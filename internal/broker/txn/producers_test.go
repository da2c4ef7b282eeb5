package txn_test

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"pgregory.net/rapid"

	"ravenswood.dev/internal/broker/batch"
	"ravenswood.dev/internal/broker/commitlog"
	"ravenswood.dev/internal/broker/txn"
)

// someday is when tests happen.
var someday = time.UnixMilli(1_700_000_000_000)

// put appends a batch at an offset without asking.
func put(p *txn.Producers, who txn.Producer, offset int64, sequence int32, attributes int16) {
	h := record(who, sequence, attributes, someday)
	h.BaseOffset = offset
	p.Observe(h, nil)
}

// putMarker ends a transaction at an offset.
func putMarker(p *txn.Producers, who txn.Producer, offset int64, commit bool) *commitlog.Aborted {
	raw := batch.EncodeMarker(batch.Marker{ProducerID: who.ID, ProducerEpoch: who.Epoch, CoordinatorEpoch: 4, Commit: commit})
	batch.SetBase(raw, offset, 0)
	h, err := batch.Parse(raw)
	if err != nil {
		panic(err)
	}
	return p.Observe(h, raw)
}

func TestProducersCheckSequencesAsKafkaDoes(t *testing.T) {
	const transactional = transactionalBit
	old, cur, next := txn.Producer{ID: 7, Epoch: 2}, txn.Producer{ID: 7, Epoch: 3}, txn.Producer{ID: 7, Epoch: 4}
	written := func(sequences ...int32) func(*txn.Producers) {
		return func(p *txn.Producers) {
			for i, s := range sequences {
				put(p, cur, int64(i), s, 0)
			}
		}
	}
	open := func(p *txn.Producers) { put(p, cur, 0, 0, transactional) }
	cases := map[string]struct {
		before     func(*txn.Producers)
		p          txn.Producer
		sequence   int32
		attributes int16
		bumped     bool
		want       error
	}{
		"an unknown producer begins anywhere":                 {written(), cur, 17, 0, false, nil},
		"an unknown transactional one, too":                   {written(), cur, 17, transactional, false, nil},
		"unless its epoch grows: then at 0":                   {written(), cur, 17, transactional, true, kerr.OutOfOrderSequenceNumber},
		"at 0 it may":                                         {written(), cur, 0, transactional, true, nil},
		"the next sequence":                                   {written(0, 1), cur, 2, 0, false, nil},
		"a gap":                                               {written(0, 1), cur, 3, 0, false, kerr.OutOfOrderSequenceNumber},
		"a repetition that nobody remembers":                  {written(0, 1, 2, 3, 4, 5), cur, 0, 0, false, kerr.OutOfOrderSequenceNumber},
		"after the largest sequence comes 0":                  {written(math.MaxInt32), cur, 0, 0, false, nil},
		"and not the smallest":                                {written(math.MaxInt32), cur, math.MinInt32, 0, false, kerr.InvalidRecord},
		"an older epoch":                                      {written(0), old, 1, 0, false, kerr.InvalidProducerEpoch},
		"an older epoch with a sequence that was written":     {written(0), old, 0, 0, false, kerr.InvalidProducerEpoch},
		"a newer epoch begins at 0":                           {written(0), next, 0, 0, false, nil},
		"a newer epoch does not go on":                        {written(0), next, 1, 0, false, kerr.OutOfOrderSequenceNumber},
		"no sequence":                                         {written(), cur, -1, 0, false, kerr.InvalidRecord},
		"no epoch":                                            {written(), txn.Producer{ID: 7, Epoch: -1}, 0, 0, false, kerr.InvalidRecord},
		"not idempotent":                                      {written(), txn.NoProducer, -1, 0, false, nil},
		"outside of its open transaction":                     {open, cur, 1, 0, false, kerr.InvalidTxnState},
		"in its open transaction":                             {open, cur, 1, transactional, false, nil},
		"in the open transaction of an older epoch":           {open, next, 0, transactional, false, kerr.ConcurrentTransactions},
		"after a marker that fenced it":                       {func(p *txn.Producers) { open(p); putMarker(p, next, 1, false) }, cur, 1, transactional, false, kerr.InvalidProducerEpoch},
		"after a marker of its own epoch":                     {func(p *txn.Producers) { open(p); putMarker(p, cur, 1, false) }, cur, 1, transactional, false, nil},
		"after a marker of the next epoch, begins at 0":       {func(p *txn.Producers) { open(p); putMarker(p, next, 1, true) }, next, 0, transactional, true, nil},
		"after a marker of the next epoch, does not go on":    {func(p *txn.Producers) { open(p); putMarker(p, next, 1, true) }, next, 1, transactional, false, kerr.OutOfOrderSequenceNumber},
		"after a marker for a producer that wrote nothing":    {func(p *txn.Producers) { putMarker(p, next, 0, false) }, cur, 0, transactional, false, kerr.InvalidProducerEpoch},
		"a marker in the middle does not take a sequence":     {func(p *txn.Producers) { open(p); putMarker(p, cur, 1, true); put(p, cur, 2, 1, transactional) }, cur, 2, transactional, false, nil},
		"a marker of an older epoch does not lower the epoch": {func(p *txn.Producers) { written(0)(p); putMarker(p, old, 1, true) }, old, 1, 0, false, kerr.InvalidProducerEpoch},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := txn.NewProducers()
			c.before(p)
			check := p.Check
			if c.bumped {
				check = p.CheckBumped
			}
			verdict, err := check(record(c.p, c.sequence, c.attributes, someday), someday)
			if !errors.Is(err, c.want) || verdict.Duplicate {
				t.Fatalf("got %+v, %v, want %v", verdict, err, c.want)
			}
		})
	}
}

func TestProducersKnowTheLastFiveBatchesAgain(t *testing.T) {
	p := txn.NewProducers()
	who := txn.Producer{ID: 1, Epoch: 0}
	for i := range int32(7) {
		h := record(who, i*3, 0x8, someday)
		h.Records, h.LastOffsetDelta, h.BaseOffset = 3, 2, int64(i)*10
		p.Observe(h, nil)
	}
	for i := range int32(7) {
		h := record(who, i*3, 0, someday)
		h.Records, h.LastOffsetDelta = 3, 2
		got, err := p.Check(h, someday)
		want := txn.Verdict{Duplicate: true, First: int64(i) * 10, Last: int64(i)*10 + 2, AppendTime: someday.UnixMilli()}
		if i < 2 {
			want = txn.Verdict{}
		}
		if got != want || (err != nil) != (i < 2) {
			t.Errorf("batch %d: got %+v, %v, want %+v", i, got, err, want)
		}
		h.LastOffsetDelta = 1
		if got, err := p.Check(h, someday); err == nil {
			t.Errorf("batch %d cut short: got %+v", i, got)
		}
	}
}

func TestProducersTellWhereTheOldestTransactionBegins(t *testing.T) {
	a, b, c := txn.Producer{ID: 1}, txn.Producer{ID: 2}, txn.Producer{ID: 3}
	p := txn.NewProducers()
	put(p, a, 10, 0, transactionalBit)
	put(p, b, 11, 0, transactionalBit)
	put(p, c, 12, 0, transactionalBit)
	put(p, a, 13, 1, transactionalBit)
	if first, ok := p.FirstOpen(); !ok || first != 10 {
		t.Fatalf("first open: %d, %v", first, ok)
	}
	for _, step := range []struct {
		who    txn.Producer
		offset int64
		commit bool
		want   *commitlog.Aborted
	}{
		{b, 14, false, &commitlog.Aborted{ProducerID: 2, First: 11, Last: 14, Stable: 10}},
		{b, 15, false, nil}, // nothing is open any more
		{a, 16, false, &commitlog.Aborted{ProducerID: 1, First: 10, Last: 16, Stable: 12}},
		{c, 17, true, nil},
	} {
		if got := putMarker(p, step.who, step.offset, step.commit); !reflect.DeepEqual(got, step.want) {
			t.Errorf("marker at %d: got %+v, want %+v", step.offset, got, step.want)
		}
	}
	put(p, a, 18, 2, transactionalBit)
	if got, want := putMarker(p, a, 19, false), (&commitlog.Aborted{ProducerID: 1, First: 18, Last: 19, Stable: 20}); !reflect.DeepEqual(got, want) {
		t.Errorf("alone: got %+v, want %+v", got, want)
	}
	if _, ok := p.FirstOpen(); ok || len(p.Open()) != 0 {
		t.Error("something is still open")
	}
}

func TestProducersExpireByTheClockOfTheBroker(t *testing.T) {
	p := txn.NewProducers()
	put(p, txn.Producer{ID: 1}, 0, 0, 0) // of a start: no clock yet, although the timestamp is years old
	p.Expire(someday.Add(1000*time.Hour), time.Hour)
	now := someday.Add(1000 * time.Hour)
	if got := ids(p); len(got) != 1 {
		t.Fatalf("forgotten by the first look: %v", got)
	}
	if _, err := p.Check(record(txn.Producer{ID: 2}, 0, 0, someday), now.Add(30*time.Minute)); err != nil {
		t.Fatal(err)
	}
	put(p, txn.Producer{ID: 2}, 1, 0, 0)
	put(p, txn.Producer{ID: 3}, 2, 0, transactionalBit)
	p.Expire(now.Add(61*time.Minute), time.Hour)
	if got := ids(p); !reflect.DeepEqual(got, []int64{2, 3}) {
		t.Fatalf("after an hour: %v", got)
	}
	p.Expire(now.Add(100*time.Hour), time.Hour)
	if got := ids(p); !reflect.DeepEqual(got, []int64{3}) {
		t.Fatalf("only the open transaction may stay: %v", got)
	}
}

func ids(p *txn.Producers) []int64 {
	var all []int64
	for _, s := range p.Describe() {
		all = append(all, s.ProducerID)
	}
	return all
}

func TestProducersAreBounded(t *testing.T) {
	p := txn.NewProducers()
	put(p, txn.Producer{ID: 0}, 0, 0, transactionalBit)
	for i := range int64(100_010) {
		put(p, txn.Producer{ID: i + 1}, 2*i+1, 0, 0)
		if i == 100 {
			put(p, txn.Producer{ID: 1}, 2*i+2, 1, 0)
		}
	}
	got := ids(p)
	if len(got) != 100_001 || got[0] != 0 || got[1] != 1 || got[2] != 12 {
		t.Fatalf("%d producers, the first %v", len(got), got[:3])
	}
}

func TestProducersDescribe(t *testing.T) {
	p := txn.NewProducers()
	put(p, txn.Producer{ID: 2, Epoch: 1}, 5, 9, transactionalBit)
	putMarker(p, txn.Producer{ID: 1, Epoch: 3}, 6, true)
	want := []txn.ProducerState{
		{ProducerID: 1, Epoch: 3, LastSequence: -1, LastTimestamp: p.Describe()[0].LastTimestamp, CoordinatorEpoch: 4, First: -1},
		{ProducerID: 2, Epoch: 1, LastSequence: 9, LastTimestamp: someday.UnixMilli(), CoordinatorEpoch: -1, First: 5},
	}
	if got := p.Describe(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	open, ok := p.OpenOf(2)
	if !ok || open != (txn.OpenTransaction{ProducerID: 2, Epoch: 1, First: 5, Since: someday}) {
		t.Errorf("got %+v, %v", open, ok)
	}
}

// TestProducersAreTheSameAfterAStart compares producers that saw everything with some that began from a snapshot, and
// the open transactions with what a dumb search through the log finds.
func TestProducersAreTheSameAfterAStart(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		live, again := txn.NewProducers(), txn.NewProducers()
		type opened struct{ id, first int64 }
		var open []opened
		for offset := range int64(rapid.IntRange(0, 40).Draw(rt, "batches")) {
			who := txn.Producer{ID: rapid.Int64Range(0, 3).Draw(rt, "id"), Epoch: int16(rapid.IntRange(0, 3).Draw(rt, "epoch"))}
			marker := rapid.Bool().Draw(rt, "marker")
			sequence := rapid.Int32Range(0, math.MaxInt32).Draw(rt, "sequence")
			for _, p := range []*txn.Producers{live, again} {
				if marker {
					putMarker(p, who, offset, false)
				} else {
					put(p, who, offset, sequence, transactionalBit)
				}
			}
			at := -1
			for i, o := range open {
				if o.id == who.ID {
					at = i
				}
			}
			switch {
			case marker && at >= 0:
				open = append(open[:at:at], open[at+1:]...)
			case !marker && at < 0:
				open = append(open, opened{who.ID, offset})
			}
			if rapid.Bool().Draw(rt, "start") {
				snapshot := again.Snapshot()
				again = txn.NewProducers()
				if err := again.Restore(snapshot); err != nil {
					rt.Fatal(err)
				}
			}
			if !reflect.DeepEqual(live.Describe(), again.Describe()) || !reflect.DeepEqual(live.Open(), again.Open()) {
				rt.Fatalf("after %d: %+v, then %+v", offset, live.Describe(), again.Describe())
			}
			if !bytes.Equal(live.Snapshot(), again.Snapshot()) {
				rt.Fatalf("after %d the snapshots differ", offset)
			}
			first, ok := live.FirstOpen()
			if ok != (len(open) > 0) || (ok && first != open[0].first) {
				rt.Fatalf("after %d: first open %d, %v, want %v", offset, first, ok, open)
			}
		}
	})
}

func TestProducersRefuseBytesThatAreNoSnapshot(t *testing.T) {
	p := txn.NewProducers()
	put(p, txn.Producer{ID: 1}, 0, 0, transactionalBit)
	put(p, txn.Producer{ID: 2}, 1, 0, 0)
	good := p.Snapshot()
	cases := map[string][]byte{
		"another version": append([]byte{2}, good[1:]...),
		"cut off":         good[:len(good)-1],
		"too long":        append(bytes.Clone(good), 0),
		"out of order":    {1, 2, 1, 1, 0, 0, 1, 9, 0, 0, 2, 1, 0, 0, 1, 8, 0, 0},
		"too many":        {1, 255, 255, 255, 255, 15},
		"twice the same":  append([]byte{1, 2}, append(bytes.Clone(good[2:2+(len(good)-2)/2]), good[2:2+(len(good)-2)/2]...)...),
	}
	for name, bad := range cases {
		if err := p.Restore(bad); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if !bytes.Equal(p.Snapshot(), good) {
		t.Error("a refused snapshot changed something")
	}
	if err := p.Restore(nil); err != nil || len(p.Describe()) != 0 {
		t.Errorf("empty: %v, %v", err, p.Describe())
	}
}

// FuzzRestore feeds bytes as a snapshot: whatever is taken comes out the same, and nothing panics.
func FuzzRestore(f *testing.F) {
	p := txn.NewProducers()
	f.Add(p.Snapshot())
	put(p, txn.Producer{ID: 1 << 40, Epoch: 5}, 1<<50, math.MaxInt32, transactionalBit)
	put(p, txn.Producer{ID: 2, Epoch: 1}, 1<<50+1, 3, 0x8)
	putMarker(p, txn.Producer{ID: 3, Epoch: 0}, 1<<50+2, true)
	f.Add(p.Snapshot())
	f.Fuzz(func(t *testing.T, b []byte) {
		p := txn.NewProducers()
		if p.Restore(b) != nil {
			return
		}
		taken := p.Snapshot()
		q := txn.NewProducers()
		if err := q.Restore(taken); err != nil || !bytes.Equal(q.Snapshot(), taken) {
			t.Fatalf("%x comes out as %x: %v", taken, q.Snapshot(), err)
		}
		for _, s := range p.Describe() {
			put(p, txn.Producer{ID: s.ProducerID, Epoch: s.Epoch}, 1<<60, 1, transactionalBit)
			putMarker(p, txn.Producer{ID: s.ProducerID, Epoch: s.Epoch}, 1<<60+1, false)
		}
	})
}
