package commitlog_test

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"ravenswood.dev/internal/broker/batch"
	"ravenswood.dev/internal/broker/commitlog"
	"ravenswood.dev/internal/broker/disk"
)

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 100 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			l, _ := open(b, disk.OS(b.TempDir()), commitlog.Options{NoSync: true})
			raw := records(0, 1, size-100)
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				batch.SetBase(raw, l.End(), 0)
				h := header(raw)
				if err := l.Append(h, raw); err != nil {
					b.Fatal(err)
				}
				if l.Bytes() > 1<<30 {
					must(b, l.SetStart(l.End()))
				}
			}
			must(b, l.Remove())
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for _, size := range []int{1 << 10, 100 << 10} {
		for _, how := range []string{"on", "anywhere"} {
			b.Run(fmt.Sprintf("1MiB of %dKiB batches %s", size>>10, how), func(b *testing.B) {
				l, _ := open(b, disk.OS(b.TempDir()), commitlog.Options{NoSync: true})
				for l.Bytes() < 256<<20 {
					add(b, l, records(l.End(), 1, size-100))
				}
				one := len(records(0, 1, size-100))
				buf := make([]byte, 0, 2<<20)
				b.SetBytes(1 << 20)
				b.ReportAllocs()
				from := int64(0)
				for b.Loop() {
					got, err := l.Read(buf, from, 1<<20, l.End())
					if err != nil || len(got) == 0 {
						b.Fatal(len(got), err)
					}
					if from += int64(len(got) / one); how == "anywhere" {
						from += 7919
					}
					if from > l.End()-int64(1<<20/one) {
						from %= 100 // the end of the log has less to read
					}
				}
			})
		}
	}
}

// TestOpenIsFast writes as many gigabytes as RAVEN_COMMITLOG_GB says into 8 partitions and opens them, after a clean end
// and after a kill.
func TestOpenIsFast(t *testing.T) {
	gigabytes := 0
	if _, err := fmt.Sscan(os.Getenv("RAVEN_COMMITLOG_GB"), &gigabytes); err != nil {
		gigabytes = 0 // without it this is a test of a small log
	}
	total := max(int64(gigabytes)<<30, 8<<20)
	fs := disk.OS(t.TempDir())
	const partitions = 8
	raw := records(0, 100, 1000)
	each := func(f func(dir string)) {
		var all sync.WaitGroup
		for p := range partitions {
			all.Go(func() { f(fmt.Sprintf("topics/t/%d", p)) })
		}
		all.Wait()
	}
	write := func(dir string, bytes int64, end func(*commitlog.Log) error) {
		l, _, err := commitlog.Open(fs, dir, commitlog.Options{NoSync: true, Tracker: newTracker()})
		if err != nil {
			t.Error(err)
			return
		}
		own := append([]byte(nil), raw...)
		for bytes += l.Bytes(); l.Bytes() < bytes; {
			batch.SetBase(own, l.End(), 0)
			if err := l.Append(header(own), own); err != nil {
				t.Error(err)
				return
			}
		}
		if err := end(l); err != nil {
			t.Error(err)
		}
	}
	opened := func(when string) {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		began := time.Now()
		each(func(dir string) {
			if _, _, err := commitlog.Open(fs, dir, commitlog.Options{Tracker: newTracker()}); err != nil {
				t.Error(err)
			}
		})
		took := time.Since(began)
		runtime.ReadMemStats(&after)
		made := (after.TotalAlloc - before.TotalAlloc) >> 20
		t.Logf("%s: %d MiB in %d partitions opened in %v with %d MiB allocated", when, total>>20, partitions, took, made)
		if took > 2*time.Second || made > 200 {
			t.Errorf("%s: that is too much", when)
		}
	}
	each(func(dir string) { write(dir, total/partitions, (*commitlog.Log).Close) })
	opened("after a clean end")
	each(func(dir string) { write(dir, min(40<<20, total/partitions), func(*commitlog.Log) error { return nil }) })
	opened("after a kill")
}
