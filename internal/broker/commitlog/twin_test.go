package commitlog_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"ravenswood.dev/internal/broker/commitlog"
	"ravenswood.dev/internal/broker/disk"
)

// A pair is a log and its twin under the same commands.
type pair struct {
	t  *rapid.T
	fs *disk.Memory
	l  *commitlog.Log
	w  *twin
	k  *tracker

	less bool // segments were removed or compacted: what only their sidecars told cannot be read again from the batches
}

func (p *pair) open() {
	p.k = newTracker()
	l, _, err := commitlog.Open(p.fs, dir, options(p.k))
	if err != nil {
		p.t.Fatal(err)
	}
	p.l = l
	if p.w.start > l.Start() {
		p.must(l.SetStart(p.w.start))
	}
}

func (p *pair) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *pair) append(s spec) {
	s.base = p.w.end
	raw := s.make()
	p.must(p.l.Append(header(raw), raw))
	p.w.append(raw)
}

// commands are what a test does to both.
func (p *pair) commands() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"append": func(t *rapid.T) {
			s := spec{pid: rapid.Int64Range(-1, 2).Draw(t, "producer"), epoch: int32(p.w.end / 50), size: rapid.IntRange(0, 150).Draw(t, "size")}
			s.times = rapid.SliceOfN(rapid.Int64Range(0, 500), 1, 6).Draw(t, "times")
			p.append(s)
		},
		"end transaction": func(t *rapid.T) {
			p.append(spec{pid: rapid.Int64Range(0, 2).Draw(t, "producer"), marker: rapid.SampledFrom([]string{"commit", "abort"}).Draw(t, "how")})
		},
		"roll":       func(*rapid.T) { p.must(p.l.Roll()) },
		"checkpoint": func(*rapid.T) { p.must(p.l.Checkpoint()) },
		"sync": func(t *rapid.T) {
			if upTo, err := p.l.Sync(); err != nil || upTo != p.w.end {
				t.Fatalf("synced up to %d of %d: %v", upTo, p.w.end, err)
			}
			p.w.durable = p.w.end
		},
		"set start": func(t *rapid.T) {
			to := rapid.Int64Range(p.w.start, p.w.end).Draw(t, "to")
			p.must(p.l.SetStart(to))
			p.w.start, p.less = to, true
		},
		"close and open": func(*rapid.T) { p.must(p.l.Close()); p.open() },
		"kill and open":  func(*rapid.T) { p.fs = p.fs.Kill(); p.open() },
		"lose sidecars and open": func(t *rapid.T) {
			p.must(p.l.Close())
			if !p.less {
				p.spoil(t)
			}
			p.open()
		},
		"compact": func(t *rapid.T) {
			segs := p.l.Segments()
			if len(segs) < 2 {
				return
			}
			from := rapid.IntRange(0, len(segs)-2).Draw(t, "from")
			to := rapid.IntRange(from+1, len(segs)-1).Draw(t, "to")
			p.must(compact(p.l, p.w, segs[from:to]))
			p.less = true
		},
		"read": func(t *rapid.T) {
			at := rapid.Int64Range(p.w.start, p.w.end).Draw(t, "from")
			upTo := rapid.Int64Range(at, p.w.end).Draw(t, "up to")
			got, err := readAll(p.l, at, upTo, rapid.IntRange(0, 2000).Draw(t, "max"))
			if want := from(p.w.batches, at, upTo); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("read %d bytes from %d up to %d, %v; want %d", len(got), at, upTo, err, len(want))
			}
		},
		"aborted": func(t *rapid.T) {
			at := rapid.Int64Range(p.w.start, p.w.end).Draw(t, "from")
			upTo := rapid.Int64Range(at, p.w.end).Draw(t, "up to")
			got, err := p.l.Aborted(at, upTo)
			if want := p.w.abortedIn(at, upTo); err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("aborted from %d up to %d: %v, %v; want %v", at, upTo, got, err, want)
			}
		},
		"by time": func(t *rapid.T) {
			millis := rapid.Int64Range(-1, 501).Draw(t, "time")
			upTo := rapid.Int64Range(p.w.start, p.w.end).Draw(t, "up to")
			at, stamp, _, found, err := p.l.ByTime(millis, upTo)
			if wantAt, wantStamp, want := p.w.byTime(millis, upTo); err != nil || at != wantAt || stamp != wantStamp || found != want {
				t.Fatalf("at %d up to %d: offset %d of %d, %v, %v; want offset %d of %d, %v", millis, upTo, at, stamp, found, err, wantAt, wantStamp, want)
			}
		},
		"": func(t *rapid.T) { p.check(t) },
	}
}

// spoil removes or damages some sidecars.
func (p *pair) spoil(t *rapid.T) {
	entries, err := p.fs.List(dir)
	p.must(err)
	for _, e := range entries {
		if len(e.Name) < 5 || e.Name[len(e.Name)-5:] != ".seal" {
			continue
		}
		switch rapid.IntRange(0, 3).Draw(t, "harm to "+e.Name) {
		case 0:
			p.must(p.fs.Remove(dir + "/" + e.Name))
		case 1:
			f, err := p.fs.Open(dir+"/"+e.Name, disk.Write)
			p.must(err)
			_, err = f.WriteAt([]byte("x"), rapid.Int64Range(0, e.Size-1).Draw(t, "at"))
			p.must(err)
			p.must(f.Close())
		}
	}
}

func (p *pair) check(t *rapid.T) {
	if p.l.Start() != p.w.start || p.l.End() != p.w.end {
		t.Fatalf("the log has %d to %d, want %d to %d", p.l.Start(), p.l.End(), p.w.start, p.w.end)
	}
	if got := string(p.k.Snapshot()); got != p.w.states[p.w.end] {
		t.Fatalf("tracker %s, want %s", got, p.w.states[p.w.end])
	}
	at, offset := p.l.MaxTime()
	largest, _, _ := p.latest()
	if at != largest {
		t.Fatalf("largest timestamp %d at %d, want %d", at, offset, largest)
	}
	if offset >= 0 {
		if wantAt, _, _ := p.w.byTime(largest, math.MaxInt64); offset != wantAt {
			t.Fatalf("largest timestamp %d at %d, want %d", at, offset, wantAt)
		}
	}
	next := int64(-1)
	for i, s := range p.l.Segments() {
		if s.Base < next || s.Next < s.Base || s.Active != (i == len(p.l.Segments())-1) {
			t.Fatalf("segments %+v", p.l.Segments())
		}
		next = s.Next
	}
}

// latest is the largest timestamp of the records from start on.
func (p *pair) latest() (at int64, offset int64, found bool) {
	at, offset = -1, -1
	for millis := int64(0); ; millis = at + 1 {
		o, stamp, ok := p.w.byTime(millis, math.MaxInt64)
		if !ok {
			return at, offset, found
		}
		at, offset, found = stamp, o, true
	}
}

func TestLogIsLikeItsTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &pair{t: t, fs: disk.NewMemory(), w: newTwin()}
		p.open()
		t.Repeat(p.commands())
	})
}

// A story is one run of commands that is cut at every change of the file system.
type story struct {
	t      *testing.T
	rng    *rand.Rand
	w      *twin
	fs     *disk.Memory
	points int
	during string
	noSync bool
	whole  int64 // end of what was appended completely
}

func (s *story) options(k *tracker) commitlog.Options {
	o := options(k)
	o.NoSync = s.noSync
	return o
}

func (s *story) hook(op disk.Op) {
	s.points++
	s.recover(op, "kill", s.fs.Kill(), s.whole)
	if s.noSync {
		return // nothing is promised for a loss of power
	}
	for range 2 {
		s.recover(op, "loss of power", s.fs.PowerLoss(s.rng), s.w.durable)
	}
	// What a start after a kill has shown to readers survives a loss of power after it.
	again := s.fs.Kill()
	l, _, err := commitlog.Open(again, dir, s.options(newTracker()))
	if err != nil {
		s.t.Fatal(err)
	}
	end := l.End()
	s.recover(op, "kill and loss of power", again.PowerLoss(s.rng), end)
	// So does what is synced then.
	add(s.t, l, records(end, 2, 10))
	if _, err := l.Sync(); err != nil {
		s.t.Fatal(err)
	}
	if l, _, err = commitlog.Open(again.PowerLoss(s.rng), dir, s.options(newTracker())); err != nil || l.End() != end+2 {
		s.t.Fatalf("lost what was synced after a kill at change %d (%v %s -> %s) in %s: %v", op.Number, op.Kind, op.Name, op.To, s.during, err)
	}
}

// recover opens what a crash left, and compares it with the twin.
func (s *story) recover(op disk.Op, what string, fs *disk.Memory, durable int64) {
	s.t.Helper()
	k := newTracker()
	l, r, err := commitlog.Open(fs, dir, s.options(k))
	fail := func(format string, args ...any) {
		s.t.Helper()
		s.t.Logf("after %s at change %d (%v %s -> %s) in %s; recovery %+v", what, op.Number, op.Kind, op.Name, op.To, s.during, r)
		s.t.Fatalf(format, args...)
	}
	if err != nil {
		fail("open: %v", err)
	}
	end := l.End()
	if state, ok := s.w.states[end]; !ok || end < durable || state != string(k.Snapshot()) {
		fail("end %d, %d is durable; tracker %s, want %s", end, durable, k.Snapshot(), state)
	}
	if err := l.SetStart(s.w.start); err != nil || l.Start() != s.w.start {
		fail("start %d, want %d: %v", l.Start(), s.w.start, err)
	}
	got, err := readAll(l, s.w.start, end, 300)
	if err != nil || !bytes.Equal(got, from(s.w.batches, s.w.start, end)) && (s.w.after == nil || !bytes.Equal(got, from(s.w.after, s.w.start, end))) {
		fail("read %d bytes, %v; want %d", len(got), err, len(from(s.w.batches, s.w.start, end)))
	}
	if aborted, err := l.Aborted(s.w.start, end); err != nil || end == s.w.end && !reflect.DeepEqual(aborted, s.w.abortedIn(s.w.start, end)) {
		fail("aborted %v, %v; want %v", aborted, err, s.w.abortedIn(s.w.start, end))
	}
	raw := records(end, 2, 10)
	if err := errors.Join(l.Append(header(raw), raw), l.Close()); err != nil {
		fail("go on: %v", err)
	}
	if l, _, err = commitlog.Open(fs.Kill(), dir, s.options(newTracker())); err != nil || l.End() != end+2 {
		fail("open again: %v", err)
	}
}

// Everything that was appended is there once and in order after a kill at any point, and what was appended before a Sync
// returned is after a loss of power; nothing is there that was not appended, and the tracker is as if it had seen exactly
// what is there. Without syncs the same holds for kills.
func TestEveryCrashPoint(t *testing.T) {
	points := 0
	for seed := range uint64(20) {
		s := &story{t: t, rng: rand.New(rand.NewPCG(seed, 1)), w: newTwin(), fs: disk.NewMemory(), noSync: seed%4 == 3}
		s.fs.Hook = s.hook
		s.during = "open"
		k := newTracker()
		l, _ := open(t, s.fs, s.options(k))
		for range 60 {
			l, k = s.step(l, k)
		}
		points += s.points
	}
	t.Logf("%d crash points", points)
	if points < 1000 {
		t.Errorf("only %d crash points", points)
	}
}

// step does one random command.
func (s *story) step(l *commitlog.Log, k *tracker) (*commitlog.Log, *tracker) {
	must := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	switch n := s.rng.IntN(20); {
	case n < 10:
		s.during = "append"
		sp := spec{base: s.w.end, pid: int64(s.rng.IntN(3)) - 1, size: s.rng.IntN(200), times: []int64{s.rng.Int64N(100), s.rng.Int64N(100)}}
		if sp.pid >= 0 && s.rng.IntN(2) == 0 {
			sp.marker = []string{"commit", "abort"}[s.rng.IntN(2)]
		}
		raw := sp.make()
		s.w.append(raw) // a crash in the middle may leave it
		must(l.Append(header(raw), raw))
		s.whole = s.w.end
	case n < 13:
		s.during = "sync"
		upTo, err := l.Sync()
		must(err)
		s.w.durable = upTo
	case n < 14:
		s.during = "roll"
		must(l.Roll())
	case n < 15:
		s.during = "checkpoint"
		must(l.Checkpoint())
	case n < 16:
		s.during = "set start"
		if s.w.durable > s.w.start {
			s.w.start += s.rng.Int64N(s.w.durable - s.w.start + 1)
		}
		must(l.SetStart(s.w.start))
	case n < 18:
		s.during = "compact"
		if segs := l.Segments(); len(segs) > 1 {
			from := s.rng.IntN(len(segs) - 1)
			must(compact(l, s.w, segs[from:len(segs)-1]))
		}
	case n < 19:
		s.during = "close and open"
		must(l.Close())
		k = newTracker()
		l, _ = open(s.t, s.fs, s.options(k))
		must(l.SetStart(s.w.start))
	default:
		s.during = "kill and open"
		fs := s.fs.Kill()
		fs.Hook = s.hook
		s.fs = fs
		k = newTracker()
		l, _ = open(s.t, s.fs, s.options(k))
		must(l.SetStart(s.w.start))
		s.w.durable = l.End()
	}
	return l, k
}
