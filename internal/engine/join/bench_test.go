package join

import (
	"fmt"
	"testing"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
)

// committing makes a transaction of every thousand records, as a session does, so that layers stay small.
func committing(b *testing.B, w *world, i int) {
	if i%1000 != 0 {
		return
	}
	w.state.Seal()
	must(b, w.state.Commit(nil))
}

func BenchmarkStreamTable(b *testing.B) {
	w := newWorld(b, stores{"t": {{}}})
	defer w.close(b)
	for i := range 10_000 {
		w.state.KeyValue("t").Put(fmt.Append(nil, i), store.Entry{Value: make([]byte, 100)})
	}
	p := NewStreamTable(StreamTableConfig{Table: Source{Store: "t"}, Join: func(_ *record.Record, right []byte) ([]byte, error) { return right, nil }})
	w.open(b, "j", p, func(int, *record.Record) {})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		must(b, p.Process(0, rec(fmt.Sprint(i%10_000), "v", int64(i))))
	}
}

func BenchmarkStreamStream(b *testing.B) {
	for typ := Inner; typ <= Outer; typ++ {
		b.Run(typ.String(), func(b *testing.B) {
			c := within(typ, 5000, 5000, 0)
			c.Join = func(_, left, _ []byte) ([]byte, error) { return left, nil }
			j := newStreamJoin(b, c)
			defer j.w.close(b)
			j.w.open(b, "j", j.p, func(int, *record.Record) {})
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r := rec(fmt.Sprint(i/2), "some value", int64(i))
				r.Origin = record.Origin{Topic: "t", Offset: int64(i)}
				j.w.feed(b, j.p, i%2, r)
				committing(b, j.w, i)
			}
		})
	}
}
