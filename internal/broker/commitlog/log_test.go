package commitlog_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"ravenswood.dev/internal/broker/batch"
	"ravenswood.dev/internal/broker/commitlog"
	"ravenswood.dev/internal/broker/disk"
)

// name is a file of the log of a test.
func name(base int64, end string) string { return fmt.Sprintf("%s/%020d%s", dir, base, end) }

// patch changes bytes of a file.
func patch(t testing.TB, fs disk.FS, file string, at int64, b []byte) {
	t.Helper()
	f, err := fs.Open(file, disk.Create)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

func size(t testing.TB, fs disk.FS, file string) int64 {
	t.Helper()
	f, err := fs.Open(file, disk.Read)
	if err != nil {
		t.Fatal(err)
	}
	n, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// fill appends n batches of two records and some 170 bytes; five of them fill a segment.
func fill(t testing.TB, l *commitlog.Log, n int) [][]byte {
	t.Helper()
	var out [][]byte
	for range n {
		raw := records(l.End(), 2, 40)
		add(t, l, raw)
		out = append(out, raw)
	}
	return out
}

func TestATornTailIsCutOff(t *testing.T) {
	for what, c := range map[string]struct {
		harm func(fs *disk.Memory, l *commitlog.Log, size int64)
		end  int64
	}{
		"nothing": {func(*disk.Memory, *commitlog.Log, int64) {}, 8},
		"half a batch": {func(fs *disk.Memory, _ *commitlog.Log, n int64) {
			patch(t, fs, name(0, ".log"), n, records(8, 2, 40)[:100])
		}, 8},
		"half a header": {func(fs *disk.Memory, _ *commitlog.Log, n int64) {
			patch(t, fs, name(0, ".log"), n, records(8, 2, 40)[:30])
		}, 8},
		"zeros":                {func(fs *disk.Memory, _ *commitlog.Log, n int64) { patch(t, fs, name(0, ".log"), n, make([]byte, 5000)) }, 8},
		"a batch from nowhere": {func(fs *disk.Memory, _ *commitlog.Log, n int64) { patch(t, fs, name(0, ".log"), n, records(11, 2, 40)) }, 8},
		"the batch before again": {func(fs *disk.Memory, _ *commitlog.Log, n int64) {
			patch(t, fs, name(0, ".log"), n, records(6, 2, 40))
		}, 8},
		"a huge length": {func(fs *disk.Memory, _ *commitlog.Log, n int64) {
			raw := records(8, 2, 40)
			raw[8] = 0x7f
			patch(t, fs, name(0, ".log"), n, raw)
		}, 8},
		"the last batch is damaged":  {func(fs *disk.Memory, _ *commitlog.Log, n int64) { patch(t, fs, name(0, ".log"), n-1, []byte{0xee}) }, 6},
		"a batch before is damaged":  {func(fs *disk.Memory, _ *commitlog.Log, n int64) { patch(t, fs, name(0, ".log"), n/2-1, []byte{0xee}) }, 2},
		"the first batch is damaged": {func(fs *disk.Memory, _ *commitlog.Log, _ int64) { patch(t, fs, name(0, ".log"), 70, []byte{0xee}) }, 0},
		"damage behind a checkpoint": {func(fs *disk.Memory, l *commitlog.Log, n int64) {
			must(t, l.Checkpoint())
			fill(t, l, 1)
			patch(t, fs, name(0, ".log"), n+9, []byte{0xee})
		}, 8},
		"a damaged sidecar": {func(fs *disk.Memory, l *commitlog.Log, _ int64) {
			must(t, l.Checkpoint())
			patch(t, fs, name(0, ".seal"), 20, []byte{0xee})
		}, 8},
		"an empty sidecar":            {func(fs *disk.Memory, l *commitlog.Log, _ int64) { patch(t, fs, name(0, ".seal"), 0, nil) }, 8},
		"a temporary sidecar is left": {func(fs *disk.Memory, _ *commitlog.Log, _ int64) { patch(t, fs, name(0, ".seal.tmp"), 0, []byte("RAV")) }, 8},
		"the sidecar of nothing":      {func(fs *disk.Memory, _ *commitlog.Log, _ int64) { patch(t, fs, name(77, ".seal"), 0, []byte("RAV")) }, 8},
		"files of others":             {func(fs *disk.Memory, _ *commitlog.Log, _ int64) { patch(t, fs, dir+"/1.log", 0, []byte("x")) }, 8},
	} {
		t.Run(what, func(t *testing.T) {
			fs := disk.NewMemory()
			k := newTracker()
			o := options(k)
			o.SegmentBytes = 10_000
			l, _ := open(t, fs, o)
			want := fill(t, l, 4)
			c.harm(fs, l, l.Bytes())
			o.Tracker = newTracker()
			l, r := open(t, fs, o)
			if l.End() != c.end || size(t, fs, name(0, ".log")) != l.Bytes() || (r.Torn > 0) != (r.TornFile != "") {
				t.Fatalf("end %d, want %d; %+v", l.End(), c.end, r)
			}
			// What is written in the place of the torn batch does not bring back what came after it.
			want = append(want[:c.end/2], fill(t, l, 1)...)
			o.Tracker = newTracker()
			l, r = open(t, fs.Kill(), o)
			got, err := readAll(l, 0, l.End(), 1000)
			if err != nil || r.Torn != 0 || !bytes.Equal(got, bytes.Join(want, nil)) {
				t.Fatalf("read %d bytes of %d up to %d, %v; %+v", len(got), len(want), l.End(), err, r)
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestDamageInWhatWasCompleteIsReportedWithItsPlace(t *testing.T) {
	fs := disk.NewMemory()
	l, _ := open(t, fs, options(newTracker()))
	raws := fill(t, l, 20)
	one := int64(len(raws[0]))
	must(t, l.Close())
	base := l.Segments()[1].Base
	patch(t, fs, name(base, ".log"), one+80, []byte{0xee})
	l, _ = open(t, fs, options(newTracker()))
	_, err := l.Read(nil, base+2, 1000, l.End())
	var d *commitlog.DamageError
	if !errors.As(err, &d) || d.File != name(base, ".log") || d.Position != one || d.Offset != base+2 || !errors.Is(err, batch.ErrCorrupt) {
		t.Errorf("got %+v", err)
	}
	if got, err := l.Read(nil, base, 1000, l.End()); err != nil || !bytes.Equal(got, raws[base/2]) {
		t.Errorf("what is before it: %d bytes, %v", len(got), err)
	}
	if got, err := l.Read(nil, base+4, 1, l.End()); err != nil || !bytes.Equal(got, raws[base/2+2]) {
		t.Errorf("what is after it: %d bytes, %v", len(got), err)
	}
	must(t, fs.Remove(name(base, ".seal")))
	l, _ = open(t, fs, options(newTracker()))
	if _, err := l.Read(nil, base, 1, l.End()); !errors.As(err, &d) || d.Position != one {
		t.Errorf("without its sidecar: %v", err)
	}
	if s := l.Segments()[1]; s.MaxTime != math.MaxInt64 || s.Next != l.Segments()[2].Base {
		t.Errorf("segment that cannot be read: %+v", s)
	}
}

func TestSyncedBytesThatAreGoneAreDamage(t *testing.T) {
	for what, base := range map[string]int64{"active": 10, "complete": 0} {
		t.Run(what, func(t *testing.T) {
			fs := disk.NewMemory()
			l, _ := open(t, fs, options(newTracker()))
			fill(t, l, 7)
			must(t, l.Close())
			f, err := fs.Open(name(base, ".log"), disk.Write)
			must(t, err)
			must(t, f.Truncate(200))
			l, _, err = commitlog.Open(fs, dir, options(newTracker()))
			if err == nil {
				_, err = l.Read(nil, base, 10, l.End())
			}
			var d *commitlog.DamageError
			if !errors.As(err, &d) || d.File != name(base, ".log") || d.Position != 200 {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestOverlappingSegmentsAreDamage(t *testing.T) {
	fs := disk.NewMemory()
	l, _ := open(t, fs, options(newTracker()))
	fill(t, l, 4)
	patch(t, fs, name(6, ".log"), 0, records(6, 2, 40))
	var d *commitlog.DamageError
	if _, _, err := commitlog.Open(fs, dir, options(newTracker())); !errors.As(err, &d) || d.File != name(6, ".log") {
		t.Errorf("got %v", err)
	}
}

// A full disk refuses appends and changes nothing; with space again the log goes on.
func TestAFullDiskChangesNothing(t *testing.T) {
	for what, fault := range map[string]disk.Fault{
		"nothing fits":           {Kind: disk.OpWrite, Name: "*.log"},
		"half a batch fits":      {Kind: disk.OpWrite, Name: "*.log", After: 100},
		"no sidecar fits":        {Kind: disk.OpWrite, Name: "*.seal.tmp"},
		"half a sidecar fits":    {Kind: disk.OpWrite, Name: "*.seal.tmp", After: 80},
		"no file can be made":    {Kind: disk.OpCreate},
		"no segment can be made": {Kind: disk.OpCreate, Name: "*.log"},
		"no renaming":            {Kind: disk.OpRename, Err: syscall.ENOSPC},
	} {
		t.Run(what, func(t *testing.T) {
			fs := disk.NewFaulty(disk.NewMemory())
			k := newTracker()
			l, _ := open(t, fs, options(k))
			want := fill(t, l, 5)
			fs.Fail(fault)
			end, state := l.End(), k.Snapshot()
			var err error
			for err == nil { // the batch that needs the next segment, if not the first
				raw := records(l.End(), 2, 40)
				if err = l.Append(header(raw), raw); err == nil {
					want = append(want, raw)
					end, state = l.End(), k.Snapshot()
				}
			}
			if !errors.Is(err, syscall.ENOSPC) || l.End() != end || !bytes.Equal(k.Snapshot(), state) {
				t.Fatalf("%v; end %d, want %d; tracker %s, want %s", err, l.End(), end, k.Snapshot(), state)
			}
			if got, err := readAll(l, 0, end, 1000); err != nil || !bytes.Equal(got, bytes.Join(want, nil)) {
				t.Fatalf("read %d bytes, %v", len(got), err)
			}
			if _, err := l.Sync(); err != nil {
				t.Fatal(err)
			}
			fs.Heal()
			want = append(want, fill(t, l, 7)...)
			l, _ = open(t, fs, options(newTracker()))
			if got, err := readAll(l, 0, l.End(), 1000); err != nil || !bytes.Equal(got, bytes.Join(want, nil)) {
				t.Fatalf("read %d bytes after opening, %v", len(got), err)
			}
		})
	}
}

func TestWritingEndsWhenItCannotBeTakenBack(t *testing.T) {
	for what, c := range map[string]struct {
		faults []disk.Fault
		do     func(l *commitlog.Log) error
	}{
		"torn and not cut off": {[]disk.Fault{{Kind: disk.OpWrite, After: 100}, {Kind: disk.OpTruncate}}, func(l *commitlog.Log) error {
			raw := records(l.End(), 2, 40)
			return l.Append(header(raw), raw)
		}},
		"sync":           {[]disk.Fault{{Kind: disk.OpSync}}, func(l *commitlog.Log) error { _, err := l.Sync(); return err }},
		"sync of a roll": {[]disk.Fault{{Kind: disk.OpSync}}, (*commitlog.Log).Roll},
		"sync directory": {[]disk.Fault{{Kind: disk.OpSyncDir}}, (*commitlog.Log).Roll},
		"checkpoint":     {[]disk.Fault{{Kind: disk.OpSync}}, (*commitlog.Log).Checkpoint},
		"remove":         {[]disk.Fault{{Kind: disk.OpRemove}}, func(l *commitlog.Log) error { return l.SetStart(l.End()) }},
	} {
		t.Run(what, func(t *testing.T) {
			fs := disk.NewFaulty(disk.NewMemory())
			l, _ := open(t, fs, options(newTracker()))
			fill(t, l, 6)
			for _, f := range c.faults {
				fs.Fail(f)
			}
			first := c.do(l)
			if first == nil {
				t.Fatal("no error")
			}
			fs.Heal()
			raw := records(l.End(), 2, 40)
			_, sync := l.Sync()
			for _, err := range []error{l.Append(header(raw), raw), sync, l.Roll(), l.Checkpoint(), l.SetStart(l.End()), l.Close()} {
				if !errors.Is(err, syscall.EIO) {
					t.Errorf("after %v: %v", first, err)
				}
			}
		})
	}
}

func TestOffsetsOutsideTheLog(t *testing.T) {
	l, _ := open(t, disk.NewMemory(), options(newTracker()))
	fill(t, l, 10)
	must(t, l.SetStart(13))
	for from, want := range map[int64]any{12: &commitlog.RangeError{Offset: 12, Start: 13, End: 20}, 13: nil, 20: nil, 21: &commitlog.RangeError{Offset: 21, Start: 13, End: 20}} {
		_, err := l.Read(nil, from, 1, 20)
		if want == nil && err != nil || want != nil && !reflect.DeepEqual(err, want) {
			t.Errorf("read from %d: %v", from, err)
		}
	}
	if err := l.SetStart(21); !reflect.DeepEqual(err, &commitlog.RangeError{Offset: 21, Start: 13, End: 20}) {
		t.Errorf("start behind the end: %v", err)
	}
	must(t, l.SetStart(5))
	if l.Start() != 13 {
		t.Errorf("start went back to %d", l.Start())
	}
	raw := records(99, 1, 1)
	if err := l.Append(header(raw), raw); err == nil || l.End() != 20 {
		t.Errorf("a batch for another offset: %v", err)
	}
}

func TestReadGivesWholeBatchesBelowTheBound(t *testing.T) {
	l, _ := open(t, disk.NewMemory(), commitlog.Options{})
	raws := fill(t, l, 6)
	one := len(raws[0])
	for what, c := range map[string]struct {
		from, upTo int64
		max        int
		want       [][]byte
	}{
		"one at least":            {0, 12, 0, raws[:1]},
		"one that is half inside": {3, 12, 10, raws[1:2]},
		"two and a half":          {0, 12, one*5/2 + 1, raws[:2]},
		"all":                     {0, 12, 1 << 20, raws},
		"up to a batch":           {0, 6, 1 << 20, raws[:3]},
		"up to inside a batch":    {0, 5, 1 << 20, raws[:2]},
		"nothing below":           {4, 5, 1 << 20, nil},
		"at the bound":            {4, 4, 1 << 20, nil},
		"at the end":              {12, 12, 1 << 20, nil},
	} {
		t.Run(what, func(t *testing.T) {
			got, err := l.Read([]byte("before"), c.from, c.max, c.upTo)
			if want := "before" + string(bytes.Join(c.want, nil)); err != nil || string(got) != want {
				t.Errorf("%d bytes, %v, want %d", len(got), err, len(want))
			}
		})
	}
}

func TestLeaderEpochs(t *testing.T) {
	fs := disk.NewMemory()
	l, _ := open(t, fs, options(newTracker()))
	for i := range 12 {
		add(t, l, spec{base: l.End(), times: []int64{1, 2}, size: 100, pid: -1, epoch: []int32{1, 1, 1, 4, 4, 4, 4, 5, 5, 5, 5, 5}[i]}.make())
	}
	check := func(when string, want []commitlog.EpochStart, ends map[int32][2]int64) {
		t.Helper()
		if got := l.Epochs(); !slices.Equal(got, want) {
			t.Errorf("%s: epochs %v, want %v", when, got, want)
		}
		for epoch, want := range ends {
			if found, end := l.EpochEnd(epoch); int64(found) != want[0] || end != want[1] {
				t.Errorf("%s: epoch %d ends as %d at %d, want %v", when, epoch, found, end, want)
			}
		}
	}
	all := []commitlog.EpochStart{{Epoch: 1, First: 0}, {Epoch: 4, First: 6}, {Epoch: 5, First: 14}}
	ends := map[int32][2]int64{0: {0, 0}, 1: {1, 6}, 2: {1, 6}, 4: {4, 14}, 5: {5, 24}, 6: {-1, -1}}
	check("written", all, ends)
	must(t, l.Close())
	l, _ = open(t, fs, options(newTracker()))
	check("opened", all, ends)
	must(t, l.SetStart(15))
	check("cut", []commitlog.EpochStart{{Epoch: 5, First: 15}}, map[int32][2]int64{1: {1, 15}, 4: {4, 15}, 5: {5, 24}})
	l, _ = open(t, disk.NewMemory(), options(newTracker()))
	check("empty", nil, map[int32][2]int64{0: {-1, -1}})
}

func TestTimeOfTheLogIsTheTimeOfItsBatches(t *testing.T) {
	l, _ := open(t, disk.NewMemory(), options(newTracker()))
	for i := range int64(10) {
		raw := records(l.End(), 3, 40)
		batch.SetAppendTime(raw, 100*i)
		add(t, l, raw)
	}
	at, stamp, _, found, err := l.ByTime(350, l.End())
	if at != 12 || stamp != 400 || !found || err != nil {
		t.Errorf("offset %d of %d, %v, %v", at, stamp, found, err)
	}
	if stamp, at := l.MaxTime(); stamp != 900 || at != 27 {
		t.Errorf("latest %d at %d", stamp, at)
	}
}

func TestACompactionIsFinishedOrForgotten(t *testing.T) {
	log := func() (*disk.Memory, [][]byte) {
		fs := disk.NewMemory()
		l, _ := open(t, fs, options(newTracker()))
		raws := fill(t, l, 12)
		b, err := l.NewSegment(0)
		must(t, err)
		must(t, b.Append(header(raws[1]), raws[1]))
		must(t, b.Finish())
		return fs.Kill(), raws
	}
	fs, raws := log()
	l, _ := open(t, fs, options(newTracker()))
	if got, err := readAll(l, 0, l.End(), 500); err != nil || !bytes.Equal(got, bytes.Join(raws, nil)) {
		t.Errorf("an undecided one: %d bytes, %v", len(got), err)
	}
	entries, err := fs.List(dir)
	must(t, err)
	if slices.ContainsFunc(entries, func(e disk.Entry) bool { return strings.Contains(e.Name, ".clean") }) {
		t.Errorf("left behind: %v", entries)
	}
	for what, swap := range map[string]string{"empty": "", "no list": "hello", "wrong sum": "- 00000000000000000000\n= 00000000\n", "no newline": "= 00000000"} {
		fs, _ := log()
		patch(t, fs, dir+"/swap", 0, []byte(swap))
		var d *commitlog.DamageError
		if _, _, err := commitlog.Open(fs, dir, options(newTracker())); !errors.As(err, &d) || d.File != dir+"/swap" {
			t.Errorf("swap with %s: %v", what, err)
		}
	}
}

func TestReplaceRefusesWhatDoesNotFit(t *testing.T) {
	fs := disk.NewMemory()
	l, _ := open(t, fs, options(newTracker()))
	raws := fill(t, l, 20) // segments 0, 10, 20, 30
	build := func(base int64, from, to int) *commitlog.Builder {
		b, err := l.NewSegment(base)
		must(t, err)
		for _, raw := range raws[from:to] {
			must(t, b.Append(header(raw), raw))
		}
		must(t, b.Finish())
		return b
	}
	open, err := l.NewSegment(3)
	must(t, err)
	for what, c := range map[string]struct {
		remove []int64
		add    []*commitlog.Builder
	}{
		"nothing":        {nil, nil},
		"unknown":        {[]int64{1}, nil},
		"not side by":    {[]int64{0, 20}, nil},
		"the active one": {[]int64{20, 30}, nil},
		"too far":        {[]int64{0}, []*commitlog.Builder{build(0, 0, 6)}},
		"too early":      {[]int64{10}, []*commitlog.Builder{build(8, 4, 6)}},
		"overlapping":    {[]int64{0}, []*commitlog.Builder{build(0, 0, 3), build(4, 2, 4)}},
		"not finished":   {[]int64{0}, []*commitlog.Builder{open}},
	} {
		if err := l.Replace(c.remove, c.add); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	if got, err := readAll(l, 0, l.End(), 500); err != nil || !bytes.Equal(got, bytes.Join(raws, nil)) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	must(t, l.Close())
	entries, err := fs.List(dir)
	must(t, err)
	if len(entries) != 8 {
		t.Errorf("left behind: %v", entries)
	}
}

// A compaction that finds no room leaves everything as it was.
func TestACompactionOnAFullDiskIsForgotten(t *testing.T) {
	for _, file := range []string{"*.clean", "*.clean.seal.tmp", "swap.tmp"} {
		t.Run(file, func(t *testing.T) {
			fs := disk.NewFaulty(disk.NewMemory())
			l, _ := open(t, fs, options(newTracker()))
			raws := fill(t, l, 14)
			w := newTwin()
			w.batches = raws
			fs.Fail(disk.Fault{Kind: disk.OpWrite, Name: file, After: 10})
			if err := compact(l, w, l.Segments()[:2]); !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			if got, err := readAll(l, 0, l.End(), 500); err != nil || !bytes.Equal(got, bytes.Join(raws, nil)) {
				t.Fatalf("read %d bytes, %v", len(got), err)
			}
			fs.Heal()
			w.batches = raws
			must(t, compact(l, w, l.Segments()[:2]))
			fill(t, l, 1)
			must(t, l.Close())
			if l, _ = open(t, fs, options(newTracker())); l.End() != 30 {
				t.Errorf("end %d", l.End())
			}
		})
	}
}

// A read that began before a segment is removed or replaced ends as it began.
func TestReadersKeepWhatIsRemoved(t *testing.T) {
	fs := disk.OS(t.TempDir())
	l, _ := open(t, fs, options(newTracker()))
	raws := fill(t, l, 20)
	w := newTwin()
	w.batches = raws
	if _, err := l.Read(nil, 12, 1, l.End()); err != nil { // the segment is open now
		t.Fatal(err)
	}
	must(t, compact(l, w, l.Segments()[1:2]))
	got, err := readAll(l, 10, 20, 1000)
	if want := from(w.batches, 10, 20); err != nil || !bytes.Equal(got, want) {
		t.Errorf("after the compaction: %d bytes, %v, want %d", len(got), err, len(want))
	}
	must(t, l.SetStart(20))
	if _, err := l.Read(nil, 12, 1, l.End()); !errors.As(err, new(*commitlog.RangeError)) {
		t.Errorf("after the removal: %v", err)
	}
	must(t, l.Close())
}

// The state of the tracker is known at the end of what compaction made, and is not taken for that of a segment before.
func TestCompactedSegmentsAreReplayedOnce(t *testing.T) {
	fs := disk.NewMemory()
	w := newTwin()
	l, _ := open(t, fs, options(newTracker()))
	for _, raw := range fill(t, l, 14) { // segments 0, 10, 20
		w.append(raw)
	}
	must(t, compact(l, w, l.Segments()[:2]))
	made := l.Segments()
	fs = fs.Kill()
	must(t, fs.Remove(name(made[1].Base, ".seal")))
	k, want := newTracker(), newTracker()
	open(t, fs, options(k))
	for _, raw := range w.batches {
		want.Observe(header(raw), raw)
	}
	if len(made) != 3 || string(k.Snapshot()) != string(want.Snapshot()) {
		t.Errorf("of %+v the tracker saw %s, want %s", made, k.Snapshot(), want.Snapshot())
	}
}

func TestALostSidecarIsMadeAnewWhileReading(t *testing.T) {
	fs := disk.NewMemory()
	l, _ := open(t, fs, options(newTracker()))
	for range 4 {
		add(t, l, spec{base: l.End(), times: []int64{1, 2}, size: 300, pid: 7}.make())
		fill(t, l, 3)
		add(t, l, spec{base: l.End(), pid: 7, marker: "abort"}.make())
	}
	want, err := l.Aborted(0, l.End())
	must(t, err)
	must(t, l.Close())
	for _, s := range l.Segments()[:2] {
		must(t, fs.Remove(name(s.Base, ".seal")))
	}
	l, _ = open(t, fs, options(newTracker()))
	if got, err := l.Aborted(0, l.End()); err != nil || len(got) != 4 || !reflect.DeepEqual(got, want) {
		t.Errorf("aborted %v, %v, want %v", got, err, want)
	}
	o := options(newTracker())
	o.NewTracker = nil
	must(t, fs.Remove(name(0, ".seal")))
	l, _ = open(t, fs, o)
	if _, err := l.Read(nil, 0, 1, l.End()); err == nil {
		t.Error("read a segment of which nobody knows what was aborted")
	}
}

// A start reads one sidecar after a clean end, however much there is.
func TestAStartReadsOneSidecar(t *testing.T) {
	fs := disk.NewMemory()
	l, _ := open(t, fs, options(newTracker()))
	fill(t, l, 100)
	must(t, l.Close())
	counted := disk.NewFaulty(fs)
	_, r := open(t, counted, options(newTracker()))
	if reads, opens := counted.Count(disk.OpRead), counted.Count(disk.OpOpen); reads > 1 || opens > 2 || r.Scanned != 0 {
		t.Errorf("%d reads, %d files, %+v", reads, opens, r)
	}
}

func TestAnAppendIsOneWrite(t *testing.T) {
	for _, off := range []bool{false, true} {
		fs := disk.NewFaulty(disk.NewMemory())
		l, _ := open(t, fs, commitlog.Options{NoSync: off})
		syncs := fs.Count(disk.OpSync) + fs.Count(disk.OpSyncDir)
		fill(t, l, 50)
		if writes := fs.Count(disk.OpWrite); writes != 50 || fs.Count(disk.OpSync)+fs.Count(disk.OpSyncDir) != syncs {
			t.Errorf("%d writes", writes)
		}
		must(t, l.Roll())
		must(t, l.Close())
		if n := fs.Count(disk.OpSync) + fs.Count(disk.OpSyncDir); off && n != 0 {
			t.Errorf("%d syncs although there should be none", n)
		}
	}
}

func TestRemoveLeavesNothing(t *testing.T) {
	fs := disk.NewMemory()
	l, _ := open(t, fs, options(newTracker()))
	fill(t, l, 20)
	must(t, l.Remove())
	if entries, err := fs.List("topics/t"); err != nil || len(entries) != 0 {
		t.Errorf("left %v, %v", entries, err)
	}
	_, read := l.Read(nil, 0, 1, 1)
	_, sync := l.Sync()
	for _, err := range []error{read, sync, l.Roll(), l.Close()} {
		if !errors.Is(err, commitlog.ErrClosed) {
			t.Errorf("a removed log answers %v", err)
		}
	}
}

// Readers see whole batches in order, whatever the writer does meanwhile.
func TestReadersBesideTheWriter(t *testing.T) {
	fs := disk.NewMemory()
	l, _ := open(t, fs, options(newTracker()))
	done := make(chan struct{})
	var readers sync.WaitGroup
	for i := range 4 {
		readers.Go(func() {
			for from := int64(0); ; {
				select {
				case <-done:
					return
				default:
				}
				from = follow(t, l, from, i)
			}
		})
	}
	w := newTwin()
	for i := range 600 {
		raw := records(l.End(), 2, 40)
		add(t, l, raw)
		w.append(raw)
		segs := l.Segments()
		switch {
		case i%50 == 30 && len(segs) > 4:
			must(t, compact(l, w, segs[1:4]))
		case i%70 == 60:
			must(t, l.SetStart(l.End()-60))
		case i%7 == 0:
			if _, err := l.Sync(); err != nil {
				t.Error(err)
			}
		}
	}
	close(done)
	readers.Wait()
	must(t, l.Close())
}

// follow reads on from an offset and returns where to go on.
func follow(t *testing.T, l *commitlog.Log, from int64, n int) int64 {
	got, err := l.Read(nil, from, 100*n, math.MaxInt64)
	if r, ok := errors.AsType[*commitlog.RangeError](err); ok {
		return r.Start
	}
	if err != nil {
		t.Error(err)
		return l.Start()
	}
	err = batch.Walk(got, func(h batch.Header, _ []byte) bool {
		if h.Next() <= from {
			t.Errorf("batch %d to %d after %d", h.BaseOffset, h.Next(), from)
		}
		from = h.Next()
		return true
	})
	if _, _, _, _, e := l.ByTime(1000+from, l.End()); err == nil {
		err = e
	}
	if _, e := l.Aborted(from, from+10); err == nil {
		err = e
	}
	if err != nil && !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if n == 0 && from == l.End() {
		return l.Start()
	}
	return from
}
