package aggregate

import (
	"iter"
	"testing"
	"time"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/engine/window"
)

// trail counts what searches pass: what is there, and what was deleted in the transaction, which a store passes too.
type trail struct {
	store.KeyValue
	gone   map[string]bool
	passed *int
}

func (t trail) Put(key []byte, e store.Entry) {
	delete(t.gone, string(key))
	t.KeyValue.Put(key, e)
}

func (t trail) Delete(key []byte, at time.Time) {
	t.gone[string(key)] = true
	t.KeyValue.Delete(key, at)
}

func (t trail) Range(from, to []byte) iter.Seq2[[]byte, store.Entry] {
	return func(yield func([]byte, store.Entry) bool) {
		last := string(to)
		for k, e := range t.KeyValue.Range(from, to) {
			*t.passed++
			if !yield(k, e) {
				last = string(k)
				break
			}
		}
		for k := range t.gone {
			if k >= string(from) && k < last {
				*t.passed++
			}
		}
	}
}

// trailing is a bench whose searches are counted.
type trailing struct {
	*bench
	trail
}

func (t trailing) KeyValue(name string) store.KeyValue {
	t.trail.KeyValue = t.state.KeyValue(name)
	return t.trail
}

// TestASearchDoesNotPassWhatWasTakenOut: a transaction in which each record closes a window of the one before costs as much
// for its last record as for its first, also if records fail on the way and after a restart.
func TestASearchDoesNotPassWhatWasTakenOut(t *testing.T) {
	for name, spec := range map[string]window.Spec{
		"tumbling": {Size: 10 * time.Millisecond},
		"sliding":  {Kind: window.Sliding, Size: 10 * time.Millisecond},
		"session":  {Kind: window.Session, Size: 10 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			const records = 500
			o := concat()
			o.Window, o.Results = &spec, Final
			passed := 0
			b := newBench(t, o.Stores(), func() processor.Processor { return New(o) })
			counted := trailing{b, trail{gone: map[string]bool{}, passed: &passed}}
			reopen := func() {
				b.restart()
				if err := b.p.Open(counted); err != nil {
					t.Fatal(err)
				}
			}
			reopen()
			results := 0
			for i := range int64(records) {
				if i%50 == 49 {
					b.undo(rec("k", "x", i*20+5)) // closes, and is taken back
				}
				if i%100 == 99 {
					reopen()
				}
				results += len(b.do(rec("k", "x", i*20)))
			}
			if results < records-1 {
				t.Fatalf("%d results of %d records", results, records)
			}
			if passed > 20*records {
				t.Errorf("searches have passed %d entries for %d records", passed, records)
			}
		})
	}
}

// TestAWindowCanBeAskedForADayAfterItHasClosed, however long it was: a final result is nowhere but in the table and in what
// went out.
func TestAWindowCanBeAskedForADayAfterItHasClosed(t *testing.T) {
	for name, spec := range map[string]window.Spec{
		"minutes": {Size: time.Minute},
		"days":    {Size: 24 * time.Hour, Grace: time.Hour},
		"weeks":   {Kind: window.Hopping, Size: 7 * 24 * time.Hour, Advance: 7 * 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			o := concat()
			o.Window, o.Results = &spec, Final
			b := newBench(t, o.Stores(), func() processor.Processor { return New(o) })
			closes := spec.Closes(window.Window{Start: at(0), End: at(0).Add(spec.Size)})
			b.do(rec("k", "a", 1))
			b.do(rec("l", "b", closes.UnixMilli()))
			for _, later := range []time.Duration{0, time.Hour, 23 * time.Hour} {
				b.do(rec("l", "c", closes.Add(later).UnixMilli()))
				b.commit()
				if _, found := b.Windows("b").Get([]byte("k"), at(0), 0); !found {
					t.Errorf("it is gone %s after it has closed", later)
				}
			}
		})
	}
}

// TestEventTimeThatBeginsAnewIsSwept: what is due before the last sweep is found all the same.
func TestEventTimeThatBeginsAnewIsSwept(t *testing.T) {
	for _, kind := range []window.Kind{window.Tumbling, window.Session} {
		o := concat()
		o.Window, o.Results = &window.Spec{Kind: kind, Size: 10 * time.Millisecond}, Final
		b := newBench(t, o.Stores(), func() processor.Processor { return New(o) })
		b.do(rec("k", "a", 1000))
		b.do(rec("k", "b", 2000))
		b.now = at(0)
		for restart := range 2 {
			if restart == 1 {
				b.restart()
			}
			b.do(rec("k", "c", 1))
			if out := b.do(rec("k", "d", 20)); len(out) != 1 || string(out[0].Value) != "c" {
				t.Errorf("%s: have %s", kind, show(out))
			}
			b.do(rec("k", "e", 3000))
			b.now = at(0)
		}
	}
}
