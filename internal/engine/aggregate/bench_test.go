package aggregate

import (
	"fmt"
	"testing"
	"time"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/window"
	"ravenswood.dev/internal/record"
)

// silent is a bench that throws away what comes out.
type silent struct{ *bench }

func (silent) Emit(int, *record.Record) {}

// BenchmarkCount counts records of 10,000 keys, with a commit every 10,000.
func BenchmarkCount(b *testing.B) {
	for _, c := range []struct {
		name string
		o    Options
	}{
		{"keys", Options{}},
		{"tumbling", Options{Window: &window.Spec{Size: time.Minute}}},
		{"tumbling final", Options{Window: &window.Spec{Size: time.Minute}, Results: Final}},
		{"hopping by 4", Options{Window: &window.Spec{Kind: window.Hopping, Size: time.Minute, Advance: 15 * time.Second}}},
		{"session", Options{Window: &window.Spec{Kind: window.Session, Size: time.Second}, Merge: MergeCounts}},
		{"sliding", Options{Window: &window.Spec{Kind: window.Sliding, Size: time.Second}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			c.o.Inputs = []Input{Count()}
			t := newBench(b, c.o.Stores(), func() processor.Processor { return New(c.o) })
			t.spoiler = nil
			if err := t.p.Open(silent{t}); err != nil {
				b.Fatal(err)
			}
			keys := make([][]byte, 10_000)
			for i := range keys {
				keys[i] = fmt.Appendf(nil, "key-%d", i)
			}
			value := make([]byte, 100)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				r := &record.Record{Key: keys[i*7919%len(keys)], Value: value, Time: at(int64(i / 10))}
				i++
				t.state.Mark()
				if r.Time.After(t.now) {
					t.now = r.Time
					t.state.Observe(t.now)
				}
				if err := t.p.Process(0, r); err != nil {
					b.Fatal(err)
				}
				if i%10_000 == 0 {
					t.commit()
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
