package store

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// A record of BenchmarkCount reads a random one of a million keys and writes it again, with a value of 100 bytes. The
// aim is half of what the same database does in a loop without the layers above it (BenchmarkCountRaw), commits and all.
const (
	countKeys  = 1_000_000
	countValue = 100
	countEvery = 100 * time.Millisecond
)

func BenchmarkCount(b *testing.B) {
	b.Run("disk", func(b *testing.B) { benchmarkCount(b, b.TempDir()) })
	b.Run("memory", func(b *testing.B) { benchmarkCount(b, "") })
}

func benchmarkCount(b *testing.B, dir string) {
	s, err := Open(Options{Dir: dir, Specs: []Spec{{Name: "counts"}}})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for from := 0; from < countKeys; from += 10_000 {
		if err := s.Load("counts", countChanges(from, 10_000), int64(from)); err != nil {
			b.Fatal(err)
		}
	}
	counts, committed := s.KeyValue("counts"), make(chan error, 1)
	committed <- nil
	key, last, n := make([]byte, 8), time.Now(), 0
	b.ReportAllocs()
	for b.Loop() {
		binary.BigEndian.PutUint64(key, rand.Uint64N(countKeys))
		at := time.UnixMilli(int64(n))
		s.Mark()
		s.Observe(at)
		e, ok := counts.Get(key)
		if !ok {
			b.Fatalf("no key %x", key)
		}
		counts.Put(key, Entry{Value: countUp(e.Value), Time: at})
		if n++; n%64 == 0 && time.Since(last) > countEvery {
			last = time.Now()
			if err := <-committed; err != nil {
				b.Fatal(err)
			}
			if err := s.Changes(func(Change) error { return nil }); err != nil {
				b.Fatal(err)
			}
			s.Seal()
			go func() { committed <- s.Commit(map[string]int64{"counts": int64(n)}) }()
		}
	}
	<-committed
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkCountRaw(b *testing.B) {
	caches := NewCaches(CacheOptions{States: 1})
	defer caches.Close()
	d, err := openDisk(b.TempDir(), vfs.Default, caches, discard(), func(error) {})
	if err != nil {
		b.Fatal(err)
	}
	defer d.close()
	for from := 0; from < countKeys; from += 10_000 {
		batch := d.db.NewBatch()
		for _, c := range countChanges(from, 10_000) {
			_ = batch.Set(c.Key, append(make([]byte, timeLen), c.Value...), nil)
		}
		if err := batch.Commit(pebble.NoSync); err != nil {
			b.Fatal(err)
		}
	}
	key := make([]byte, 8)
	b.ReportAllocs()
	for b.Loop() {
		binary.BigEndian.PutUint64(key, rand.Uint64N(countKeys))
		value, closer, err := d.db.Get(key)
		if err != nil {
			b.Fatal(err)
		}
		next := countUp(value)
		closer.Close()
		if err := d.db.Set(key, next, pebble.NoSync); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

func countUp(value []byte) []byte {
	next := append(make([]byte, 0, len(value)), value...)
	binary.BigEndian.PutUint64(next, binary.BigEndian.Uint64(next)+1)
	return next
}

func countChanges(from, n int) []Change {
	changes := make([]Change, n)
	for i := range changes {
		value := make([]byte, countValue)
		for j := range value {
			value[j] = byte(rand.Uint32N(64))
		}
		changes[i] = Change{Key: binary.BigEndian.AppendUint64(nil, uint64(from+i)), Value: value, Time: time.UnixMilli(0)}
	}
	return changes
}
