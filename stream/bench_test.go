package stream_test

import (
	"testing"

	"ravenswood.dev/internal/record"
	"ravenswood.dev/stream/streamtest"
)

// BenchmarkWordCountCases measures whole cases of one topology: a driver, ten lines in, sixty counts out.
func BenchmarkWordCountCases(b *testing.B) {
	topo := wordcount()
	for b.Loop() {
		d := streamtest.New(b, topo)
		in, out := streamtest.Input(d, text("lines")), streamtest.Output(d, numbers("counts"))
		for range 10 {
			in.Send("1", "to be or not to be")
		}
		if got := len(out.Records()); got != 60 {
			b.Fatalf("%d records", got)
		}
		d.Close()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "cases/s")
}

// BenchmarkWordCountRecords measures records through a driver that stays.
func BenchmarkWordCountRecords(b *testing.B) {
	d := streamtest.New(b, wordcount())
	in := streamtest.Input(d, text("lines"))
	for b.Loop() {
		in.Send("1", "word")
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkFused measures five fused operators on one record as the engine calls them.
func BenchmarkFused(b *testing.B) {
	bolt := fiveOperators(b)
	r := &record.Record{Key: []byte("key"), Value: []byte("some value of a record")}
	b.ReportAllocs()
	for b.Loop() {
		if err := bolt.Process(b.Context(), r.Clone(), func(int, *record.Record) {}); err != nil {
			b.Fatal(err)
		}
	}
}
