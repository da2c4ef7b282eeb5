package cleaner

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ravenswood.dev/internal/broker/commitlog"
	"ravenswood.dev/internal/broker/config"
	"ravenswood.dev/internal/broker/disk"
)

func TestKeysAreAMapUntilTheyAreFull(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, twin := newKeys(int64(rapid.IntRange(0, 40*slotBytes).Draw(t, "budget")), 100), map[string]int64{}
		for i := range rapid.IntRange(0, 60).Draw(t, "puts") {
			key := rapid.StringN(0, 2, 2).Draw(t, "key")
			_, known := twin[key]
			if table.put([]byte(key), int64(i)) {
				twin[key] = int64(i)
			} else if known || len(twin) < table.most {
				t.Fatalf("no room for %q with %d of %d keys", key, len(twin), table.most)
			}
		}
		for key, want := range twin {
			if got, ok := table.latest([]byte(key)); !ok || got != want {
				t.Fatalf("%q is at %d, %v; want %d", key, got, ok, want)
			}
		}
		if _, ok := table.latest([]byte("not there")); ok || len(table.slots) <= table.used {
			t.Fatalf("a key that was never put is there, or the table is full to the brim")
		}
	})
}

func TestCleanable(t *testing.T) {
	now := time.UnixMilli(100_000)
	segments := []commitlog.Segment{
		{Base: 0, Next: 10, MaxTime: 90_000}, {Base: 10, Next: 20, MaxTime: 99_000}, {Base: 20, Next: 30, MaxTime: -1}, {Base: 30, Next: 40, MaxTime: 1, Active: true},
	}
	cases := []struct {
		name          string
		start, stable int64
		lag           string
		want          int
	}{
		{"all but the active", 0, 40, "0", 3},
		{"from the start on", 10, 40, "0", 2},
		{"the one that the start is in", 19, 40, "0", 2},
		{"none before the start", 30, 40, "0", 0},
		{"below an open transaction", 0, 25, "0", 2},
		{"up to the last stable offset", 0, 20, "0", 2},
		{"old enough", 0, 40, "5000", 1},
		{"none is old enough", 0, 40, "20000", 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			topic := config.Sources{}.Topic(map[string]string{"min.compaction.lag.ms": c.lag})
			if got := cleanable(segments, topic, c.start, c.stable, now); len(got) != c.want {
				t.Errorf("got %d segments, want %d", len(got), c.want)
			}
		})
	}
}

func TestDue(t *testing.T) {
	now := time.UnixMilli(100_000)
	segments := []commitlog.Segment{{Base: 0, Next: 10, Bytes: 60}, {Base: 10, Next: 20, Bytes: 40}}
	waits := checkpoint{Clean: 20, Waiting: 5, Met: []met{{Below: 20, At: now.Add(-time.Hour)}}}
	cases := []struct {
		name  string
		c     checkpoint
		set   map[string]string
		first time.Time
		want  Reason
	}{
		{"never compacted", checkpoint{Waiting: -1}, nil, now, Dirty},
		{"not dirty enough", checkpoint{Clean: 10, Waiting: -1}, nil, now, NotDue},
		{"dirty enough", checkpoint{Clean: 10, Waiting: -1}, map[string]string{"min.cleanable.dirty.ratio": "0.4"}, now, Dirty},
		{"not dirty", checkpoint{Clean: 20, Waiting: -1}, map[string]string{"min.cleanable.dirty.ratio": "0"}, now, NotDue},
		{"late", checkpoint{Clean: 10, Waiting: -1}, map[string]string{"max.compaction.lag.ms": "1000"}, now.Add(-2 * time.Second), Late},
		{"not late", checkpoint{Clean: 10, Waiting: -1}, map[string]string{"max.compaction.lag.ms": "3000"}, now.Add(-2 * time.Second), NotDue},
		{"a tombstone has waited", waits, map[string]string{"delete.retention.ms": "3600000"}, now, Waiting},
		{"a tombstone waits", waits, map[string]string{"delete.retention.ms": "3600001"}, now, NotDue},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := due(segments, c.c, config.Sources{}.Topic(c.set), c.first, now); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestGroupsAreNoLargerThanASegment(t *testing.T) {
	var segments []commitlog.Segment
	for i, size := range []int64{30, 30, 30, 120, 50, 50, 10} {
		segments = append(segments, commitlog.Segment{Base: int64(i), Bytes: size})
	}
	var got []int
	for _, g := range groups(segments, 100) {
		got = append(got, len(g))
	}
	if fmt.Sprint(got) != "[3 1 2 1]" {
		t.Errorf("got %v", got)
	}
}

// However often a partition is compacted, few times are remembered, and each offset gets its turn: after the retention and a
// sixteenth of it, and not before the retention.
func TestCheckpointsStaySmallAndKeepTheirPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const keep = 160 * time.Second
		now, c := time.UnixMilli(1_000_000), checkpoint{Waiting: -1}
		ended := map[int64]time.Time{} // when a pass first covered this offset
		for range rapid.IntRange(1, 200).Draw(t, "passes") {
			below := c.Clean + rapid.Int64Range(0, 2).Draw(t, "more")
			c = c.after(below, -1, keep, now)
			if _, ok := ended[below]; !ok {
				ended[below] = now
			}
			now = now.Add(time.Duration(rapid.IntRange(1, 30).Draw(t, "seconds")) * time.Second)
			horizon := c.horizon(keep, now)
			for offset, at := range ended {
				if offset > 0 && horizon >= offset && now.Sub(at) < keep {
					t.Fatalf("offset %d is let go after %v: %+v", offset, now.Sub(at), c)
				}
				if horizon < offset && now.Sub(at) >= keep+keep/16 {
					t.Fatalf("offset %d is still held after %v: %+v", offset, now.Sub(at), c)
				}
			}
			if len(c.Met) > 19 {
				t.Fatalf("%d times are remembered", len(c.Met))
			}
		}
	})
}

func TestDamagedCheckpointsAreNone(t *testing.T) {
	files := disk.NewMemory()
	if err := files.MkdirAll("p"); err != nil {
		t.Fatal(err)
	}
	want := checkpoint{Clean: 7, Waiting: 3, Met: []met{{Below: 7, At: time.UnixMilli(5).UTC()}}}
	if err := want.save(files, "p"); err != nil {
		t.Fatal(err)
	}
	if got, err := loadCheckpoint(files, "p"); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got %+v, %v", got, err)
	}
	f, err := files.Open("p/"+checkpointFile, disk.Write)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("9"), 18); err != nil {
		t.Fatal(err)
	}
	if got, err := loadCheckpoint(files, "p"); err != nil || got.Clean != 0 || got.Waiting != -1 {
		t.Errorf("damaged: %+v, %v", got, err)
	}
}

func FuzzDecodeCheckpoint(f *testing.F) {
	raw, err := checkpoint{Clean: 7, Waiting: 3, Met: []met{{Below: 7, At: time.UnixMilli(5)}}}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte("00000000\n{}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if c, ok := decodeCheckpoint(raw); ok && (c.Clean < 0 || c.Waiting < -1) {
			t.Errorf("got %+v", c)
		}
	})
}
