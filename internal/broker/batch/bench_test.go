package batch_test

import (
	"testing"

	"ravenswood.dev/internal/broker/batch"
)

func BenchmarkValidate(b *testing.B) {
	for c := batch.None; c <= batch.Zstd; c++ {
		b.Run(c.String(), func(b *testing.B) {
			raw := produced(b, c, samples(2000)) // some 300 kB of records
			b.SetBytes(2000 * 150)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := batch.Validate(raw, batch.Rules{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
