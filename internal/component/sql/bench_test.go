package sql

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/sql/pgtest"
	"ravenswood.dev/internal/record"
)

// BenchmarkUpsert delivers batches of 1,000 records with keys drawn from 200,000.
func BenchmarkUpsert(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { benchmarkUpsert(b, newSQLite(b)) })
	b.Run("postgres", func(b *testing.B) { benchmarkUpsert(b, newPostgres(b, pgtest.Start(b))) })
}

func benchmarkUpsert(b *testing.B, d *database) {
	s, err := d.tryOpen(b, "out", messages())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	const batch = 1000
	random := rand.New(rand.NewPCG(1, 2))
	next := int64(0)
	for b.Loop() {
		b.StopTimer()
		records := make([]*record.Record, batch)
		for i := range records {
			records[i] = jsonRecord(fmt.Sprintf(`{"id":"user-%08d","amount":%d,"note":"some text that is about as long as texts are","more":{"a":[1,2,3]}}`, random.IntN(200_000), i))
		}
		b.StartTimer()
		if err := s.Deliver(b.Context(), component.Partition{Topic: "in"}, next, next+batch, records); err != nil {
			b.Fatal(err)
		}
		next += batch
	}
	b.ReportMetric(float64(next)/b.Elapsed().Seconds(), "records/s")
}
