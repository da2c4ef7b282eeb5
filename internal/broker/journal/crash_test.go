package journal

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"ravenswood.dev/internal/broker/disk"
)

// An outcome is what a start may find: the first so many of the entries.
type outcome struct {
	entries []string
	killed  int // at least so many after a kill
	lost    int // at least so many after a loss of power
}

// allows tells whether these entries are an outcome.
func (o outcome) allows(got []string, atLeast int) bool {
	return len(got) >= atLeast && len(got) <= len(o.entries) && slices.Equal(got, o.entries[:len(got)])
}

// A world runs a random load on a journal and crashes it at every change of a file.
type world struct {
	t       testing.TB
	o       Options
	rng     *rand.Rand
	memory  *disk.Memory
	faulty  *disk.Faulty
	slow    *slowSync
	journal *Journal

	now    outcome  // what is there
	coming *outcome // what a checkpoint on its way makes of it
	next   int      // number of the next entry
	points int      // crashes so far
}

func newWorld(t testing.TB, seed uint64, o Options) *world {
	w := &world{t: t, o: o, rng: rand.New(rand.NewPCG(seed, 0)), memory: disk.NewMemory()}
	w.faulty = disk.NewFaulty(w.memory)
	w.slow = &slowSync{FS: w.faulty}
	w.memory.Hook = func(disk.Op) { w.crash() }
	w.open()
	return w
}

// crash looks at all that a crash at this moment might leave.
func (w *world) crash() {
	w.points++
	w.recover(w.memory.Kill(), true)
	for range 2 {
		w.recover(w.memory.PowerLoss(w.rng), false)
	}
}

// recover starts on what a crash left, compares, and crashes again.
func (w *world) recover(m *disk.Memory, killed bool) {
	if w.rng.IntN(8) == 0 {
		m.Hook = func(disk.Op) { w.check(w.replayed(m.PowerLoss(w.rng)), false) }
	}
	j, _, got := reopened(w.t, m, w.o)
	m.Hook = nil
	w.check(got, killed)
	if w.o.NoSync {
		return
	}
	// What a start has shown, and what it acknowledges, must not go any more.
	if again := w.replayed(m.PowerLoss(w.rng)); !slices.Equal(again, got) {
		w.t.Fatalf("a start found %d entries, the next %d", len(got), len(again))
	}
	payload := w.successor(got)
	must(w.t, j.Append(9, 9, payload))
	must(w.t, j.Sync())
	if again := w.replayed(m.PowerLoss(w.rng)); !slices.Equal(again, append(got, text(9, 9, payload))) {
		w.t.Fatalf("%d entries before the crash and one synced after it, but %d are there", len(got), len(again))
	}
}

// successor is an entry to append after a crash. It fits exactly where the first lost one was, with a seal before it or
// without: what lies behind that must not come to life again.
func (w *world) successor(got []string) []byte {
	if len(got) >= len(w.now.entries) {
		return []byte("after the crash")
	}
	_, lost, _ := strings.Cut(w.now.entries[len(got)], " ")
	size := len(lost)
	if w.rng.IntN(2) == 0 {
		size -= sealBytes
	}
	return bytes.Repeat([]byte{'s'}, max(size, 0))
}

// slowSync lets something happen when the bytes of a file are on the disk already, but Sync has not returned.
type slowSync struct {
	disk.FS

	meanwhile func()
}

func (s *slowSync) Open(name string, mode disk.Mode) (disk.File, error) {
	f, err := s.FS.Open(name, mode)
	if err != nil {
		return nil, err
	}
	return slowFile{f, s}, nil
}

type slowFile struct {
	disk.File

	fs *slowSync
}

func (f slowFile) Sync() error {
	err := f.File.Sync()
	if f.fs.meanwhile != nil {
		f.fs.meanwhile()
	}
	return err
}

func (w *world) replayed(m *disk.Memory) []string {
	_, _, got := reopened(w.t, m, w.o)
	return got
}

// check compares what a start found with what there may be.
func (w *world) check(got []string, killed bool) {
	w.t.Helper()
	for _, o := range []*outcome{&w.now, w.coming} {
		if o == nil {
			continue
		}
		atLeast := o.lost
		if killed {
			atLeast = o.killed
		}
		if o.allows(got, atLeast) {
			return
		}
	}
	w.t.Fatalf("after a crash (killed: %v) %d entries are there, of %d; %d survive a kill, %d a loss of power",
		killed, len(got), len(w.now.entries), w.now.killed, w.now.lost)
}

// run does so many random steps.
func (w *world) run(steps int) {
	for range steps {
		switch n := w.rng.IntN(20); {
		case n < 11:
			w.append()
		case n < 13:
			w.appendInVain()
		case n < 17:
			w.sync()
		case n < 19:
			w.checkpoint()
		default:
			must(w.t, w.journal.Close())
			w.settled()
			w.open()
		}
	}
	must(w.t, w.journal.Close())
	w.settled()
	w.crash()
}

func (w *world) open() {
	j, r, got := reopened(w.t, w.slow, w.o)
	if !slices.Equal(got, w.now.entries) || r.Cut != 0 {
		w.t.Fatalf("a clean start found %d entries of %d, and cut %d bytes", len(got), len(w.now.entries), r.Cut)
	}
	w.journal = j
	w.settled()
}

// settled notes that all is durable.
func (w *world) settled() {
	if !w.o.NoSync {
		w.now.lost = len(w.now.entries)
	}
}

// entry draws one. Many are larger than a sector.
func (w *world) entry() (kind, version uint16, payload []byte) {
	w.next++
	size := []int{0, 20, 500, 3000}[w.rng.IntN(4)]
	payload = fmt.Appendf(nil, `{"n": %d, "x": "%s"}`, w.next, strings.Repeat("x", w.rng.IntN(size+1)))
	return uint16(1 + w.rng.IntN(12)), 1, payload
}

func (w *world) append() {
	kind, version, payload := w.entry()
	w.now.entries = append(w.now.entries, text(kind, version, payload))
	must(w.t, w.journal.Append(kind, version, payload))
	w.now.killed++
}

// appendInVain runs out of space on the way.
func (w *world) appendInVain() {
	kind, version, payload := w.entry()
	w.faulty.Fail(disk.Fault{Kind: disk.OpWrite, After: int64(w.rng.IntN(entryBytes + len(payload))), Times: 1})
	if err := w.journal.Append(kind, version, payload); err == nil {
		w.t.Fatal("appended without space")
	}
}

// sync is for what was appended before it began, not for what comes meanwhile.
func (w *world) sync() {
	before := len(w.now.entries)
	w.slow.meanwhile = func() {
		for range w.rng.IntN(3) {
			w.append()
		}
	}
	must(w.t, w.journal.Sync())
	w.slow.meanwhile = nil
	if !w.o.NoSync {
		w.now.lost = before
	}
}

// checkpoint keeps the second half, behind an entry for the first.
func (w *world) checkpoint() {
	half := len(w.now.entries) / 2
	state := append([]string{fmt.Sprintf("3.1 a checkpoint of %d", half)}, w.now.entries[half:]...)
	w.coming = &outcome{entries: state, killed: len(state), lost: len(state)}
	must(w.t, w.journal.Checkpoint(func(add Add) error {
		for _, e := range state {
			var kind, version uint16
			head, payload, _ := strings.Cut(e, " ")
			if _, err := fmt.Sscanf(head, "%d.%d", &kind, &version); err != nil {
				return err
			}
			if err := add(kind, version, []byte(payload)); err != nil {
				return err
			}
		}
		return nil
	}))
	w.now, w.coming = *w.coming, nil
}

// TestEveryCrashLeavesWhatWasSynced cuts at every change of many random loads.
func TestEveryCrashLeavesWhatWasSynced(t *testing.T) {
	for name, o := range map[string]Options{"synced": {}, "not synced": {NoSync: true}} {
		t.Run(name, func(t *testing.T) {
			points := 0
			for seed := range uint64(25) {
				w := newWorld(t, seed, o)
				w.run(40)
				points += w.points
			}
			t.Logf("%d crash points, three crashes each", points)
			if points < 2000 {
				t.Errorf("only %d crash points", points)
			}
		})
	}
}
