package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
)

// TestStateAnswersAsItsTwin drives a State in memory, one on disk and their twin through the same random life, and asks
// them everything.
func TestStateAnswersAsItsTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t)
		defer m.close()
		t.Repeat(map[string]func(*rapid.T){
			"":         m.check,
			"table":    m.writeTable,
			"window":   m.writeWindow,
			"session":  m.writeSession,
			"version":  m.writeVersion,
			"observe":  m.observe,
			"mark":     m.mark,
			"rollback": m.rollback,
			"changes":  m.changes,
			"seal":     m.seal,
			"commit":   m.commit,
			"abort":    m.abort,
			"reopen":   m.reopen,
			"restore":  m.restore,
		})
	})
}

// machine is the two States and what their twin is in the open transaction, the sealed one and the base.
type machine struct {
	disk, memory *State
	fs           *vfs.MemFS

	open, sealed, committed, marked *twin
	sealedLog, log                  []Change // what the changelogs have
}

func newMachine(t *rapid.T) *machine {
	m := &machine{fs: vfs.NewMem(), open: newTwin(), committed: newTwin()}
	m.disk, m.memory = m.openDisk(t), openTest(t, Options{Specs: twinSpecs()})
	return m
}

type fataler interface {
	Fatal(...any)
	Helper()
}

func openTest(t fataler, opt Options) *State {
	t.Helper()
	s, err := Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (m *machine) openDisk(t *rapid.T) *State {
	return openTest(t, Options{Dir: "state", FS: m.fs, Specs: twinSpecs(), Identity: "twin"})
}

func (m *machine) close() {
	m.disk.Close()
	m.memory.Close()
}

func (m *machine) both(do func(*State)) {
	do(m.disk)
	do(m.memory)
}

var (
	someKey       = rapid.SampledFrom([]string{"", "\x00", "\x00\x01", "\x00\xff", "a", "a\x00", "a\x00b", "ab", "b", "\xff", "\xff\xff"})
	someVersioned = rapid.SampledFrom([]string{"", "\x00", "a"}) // few, so that a key has a history
	// Times around which segments (of a minute) and the retention (of two) begin and end.
	someTime = rapid.Custom(func(t *rapid.T) int64 {
		return rapid.Int64Range(-6, 10).Draw(t, "minute")*60_000 + rapid.Int64Range(-1, 1).Draw(t, "ms")
	})
	someValue = rapid.SampledFrom([]string{"", "x", "y", "\x00", strings.Repeat("long", 3000)})
)

func drawCell(t *rapid.T) cell {
	return cell{value: []byte(someValue.Draw(t, "value")), at: someTime.Draw(t, "at")}
}

func (m *machine) writeTable(t *rapid.T) {
	name := rapid.SampledFrom([]string{tableStore, mortalStore}).Draw(t, "store")
	key, c := someKey.Draw(t, "key"), drawCell(t)
	if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
		m.both(func(s *State) { s.KeyValue(name).Delete([]byte(key), timeOf(c.at)) })
		delete(m.open.tables[name], key)
		return
	}
	m.both(func(s *State) { s.KeyValue(name).Put([]byte(key), c.entry()) })
	m.open.tables[name][key] = c
}

func (m *machine) writeWindow(t *rapid.T) {
	w := twinWindow{someKey.Draw(t, "key"), someTime.Draw(t, "start"), rapid.Uint64Range(0, 1).Draw(t, "seq")}
	c := drawCell(t)
	if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
		m.both(func(s *State) { s.Windows(windowStore).Delete([]byte(w.key), timeOf(w.start), w.seq, timeOf(c.at)) })
		delete(m.open.windows, w)
		return
	}
	m.both(func(s *State) { s.Windows(windowStore).Put([]byte(w.key), timeOf(w.start), w.seq, c.entry()) })
	m.open.windows[w] = c
}

func (m *machine) writeSession(t *rapid.T) {
	one, other := someTime.Draw(t, "start"), someTime.Draw(t, "end")
	x := twinSession{someKey.Draw(t, "key"), min(one, other), max(one, other)}
	c := drawCell(t)
	if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
		m.both(func(s *State) {
			s.Sessions(sessionStore).Delete([]byte(x.key), timeOf(x.start), timeOf(x.end), timeOf(c.at))
		})
		delete(m.open.sessions, x)
		return
	}
	m.both(func(s *State) { s.Sessions(sessionStore).Put([]byte(x.key), timeOf(x.start), timeOf(x.end), c.entry()) })
	m.open.sessions[x] = c
}

func (m *machine) writeVersion(t *rapid.T) {
	key, c := someVersioned.Draw(t, "key"), drawCell(t)
	v := twinVersion{value: string(c.value)}
	if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
		v, c.value = twinVersion{deleted: true}, nil
	}
	m.both(func(s *State) { s.Versions(versionStore).Put([]byte(key), c.entry()) })
	m.open.putVersion(key, c.at, v)
}

func (m *machine) observe(t *rapid.T) {
	at := someTime.Draw(t, "stream time")
	m.both(func(s *State) { s.Observe(timeOf(at)) })
	m.open.observed = max(m.open.observed, at)
}

func (m *machine) mark(*rapid.T) {
	m.both((*State).Mark)
	m.marked = m.open.clone()
}

func (m *machine) rollback(t *rapid.T) {
	if m.marked == nil {
		t.Skip("no mark")
	}
	m.both((*State).Rollback)
	m.open = m.marked.clone()
}

func (m *machine) seal(t *rapid.T) {
	if m.sealed != nil {
		t.Skip("sealed")
	}
	m.sealedLog = changesOf(t, m.disk)
	if memory := changesOf(t, m.memory); changesText(memory) != changesText(m.sealedLog) {
		t.Fatalf("changes in memory\n%s\non disk\n%s", changesText(memory), changesText(m.sealedLog))
	}
	m.both((*State).Seal)
	m.sealed, m.marked = m.open.clone(), nil
}

// changes asks for the changes without an end of the transaction: more may be written after that.
func (m *machine) changes(t *rapid.T) {
	changesOf(t, m.disk)
	changesOf(t, m.memory)
}

func changesOf(t fataler, s *State) (all []Change) {
	t.Helper()
	if err := s.Changes(func(c Change) error { all = append(all, c); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func changesText(changes []Change) string {
	var b strings.Builder
	for _, c := range changes {
		fmt.Fprintf(&b, "%s %x=%x %v @%d\n", c.Store, c.Key, c.Value, c.Value == nil, millis(c.Time))
	}
	return b.String()
}

func (m *machine) commit(t *rapid.T) {
	if m.sealed == nil {
		t.Skip("nothing is sealed")
	}
	m.log = append(m.log, m.sealedLog...)
	next := map[string]int64{}
	for _, spec := range twinSpecs() {
		next[spec.Name] = int64(len(m.log))
	}
	m.both(func(s *State) {
		if err := s.Commit(next); err != nil {
			t.Fatal(err)
		}
	})
	m.committed, m.sealed = m.sealed, nil
	m.committed.offset = int64(len(m.log))
	m.open.offset = m.committed.offset
}

func (m *machine) abort(*rapid.T) {
	m.both((*State).Abort)
	m.open, m.sealed, m.marked = m.committed.clone(), nil, nil
}

// reopen closes the State on disk and opens it again: what is left is what an abort leaves of the other one.
func (m *machine) reopen(t *rapid.T) {
	if err := m.disk.Close(); err != nil {
		t.Fatal(err)
	}
	m.disk = m.openDisk(t)
	m.memory.Abort()
	m.open, m.sealed, m.marked = m.committed.clone(), nil, nil
}

// restore puts the changelogs into an empty State, which must answer as the committed one.
func (m *machine) restore(t *rapid.T) {
	opt := Options{Specs: twinSpecs()}
	if rapid.Bool().Draw(t, "on disk") {
		opt.Dir, opt.FS = "restored", vfs.NewMem()
	}
	s := openTest(t, opt)
	defer s.Close()
	resume := func() {
		if m.committed.observed != unknown {
			s.Resume(timeOf(m.committed.observed))
		}
	}
	before := rapid.Bool().Draw(t, "stream time is known before")
	if before {
		resume()
	}
	size := rapid.IntRange(1, 20).Draw(t, "batch")
	for _, spec := range twinSpecs() {
		changes := slices.DeleteFunc(slices.Clone(m.log), func(c Change) bool { return c.Store != spec.Name })
		for batch := range slices.Chunk(changes, size) {
			if err := s.Load(spec.Name, batch, 7); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !before {
		resume()
	}
	m.compare(t, "restored", s, m.committed)
	m.compare(t, "restored, asked", s.Reader(), m.committed)
}

// check compares the views of the writers with the open twin, and those of queries with the committed one.
func (m *machine) check(t *rapid.T) {
	for name, s := range map[string]*State{"disk": m.disk, "memory": m.memory} {
		m.compare(t, name, s, m.open)
		m.compare(t, name+" asked", s.Reader(), m.committed)
		if got := s.Checkpoint(tableStore); got != m.committed.offset {
			t.Fatalf("%s: checkpoint %d, want %d", name, got, m.committed.offset)
		}
		if err := s.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// asked is what State and Reader have in common.
type asked interface {
	KeyValue(string) KeyValue
	Windows(string) Windows
	Sessions(string) Sessions
	Versions(string) Versions
}

func (m *machine) compare(t *rapid.T, name string, s asked, want *twin) {
	expect := func(question string, got, want any) {
		if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
			t.Fatalf("%s: %s\ngot  %.3000s\nwant %.3000s", name, question, g, w)
		}
	}
	key, from, to := someKey.Draw(t, "key"), someTime.Draw(t, "from"), someTime.Draw(t, "to")
	low, high := someKey.Draw(t, "low"), someKey.Draw(t, "high")
	for _, store := range []string{tableStore, mortalStore} {
		kv := s.KeyValue(store)
		expect("get", entryText(kv.Get([]byte(key))), want.tableGet(store, key))
		expect("range", tableText(kv.Range([]byte(low), []byte(high))), want.tableRange(store, low, &high))
		expect("whole", tableText(kv.Range(nil, nil)), want.tableRange(store, "", nil))
		expect("prefix", tableText(kv.Prefix([]byte(key))), prefixed(want.tableRange(store, key, nil), want, store, key))
	}
	compareSpans(s, want, key, from, to, expect)
	v, key := s.Versions(versionStore), someVersioned.Draw(t, "versioned key")
	expect("as of", entryText(v.AsOf([]byte(key), timeOf(from))), want.asOf(key, from))
	expect("latest", entryText(v.Latest([]byte(key))), want.asOf(key, 1<<60))
	expect("latest of all", tableText(v.Range([]byte(low), []byte(high))), want.latest(low, &high))
	var history []string
	for e := range v.History([]byte(key), timeOf(from), timeOf(to)) {
		history = append(history, fmt.Sprintf("%v %q@%d", e.Value == nil, e.Value, millis(e.Time)))
	}
	expect("history", history, want.historyText(key, from, to))
}

func compareSpans(s asked, want *twin, key string, from, to int64, expect func(string, any, any)) {
	w := s.Windows(windowStore)
	expect("fetch", windowTexts(w.Fetch([]byte(key), timeOf(from), timeOf(to))), want.fetch(key, from, to))
	expect("fetch all times", windowTexts(w.Fetch([]byte(key), time.UnixMilli(-1<<50), time.UnixMilli(1<<50))), want.fetch(key, -1<<50, 1<<50))
	all := windowTexts(w.All(timeOf(from), timeOf(to)))
	slices.Sort(all)
	expect("all windows", all, want.allWindows(from, to))
	got, ok := w.Get([]byte(key), timeOf(from), 1)
	c, there := want.windows[twinWindow{key, from, 1}]
	if there = there && want.lives(windowStore, from); there {
		expect("window", entryText(got, ok), fmt.Sprintf("%q@%d", c.value, c.at))
	} else {
		expect("window", ok, false)
	}
	x := s.Sessions(sessionStore)
	expect("overlapping", sessionTexts(x.Overlapping([]byte(key), timeOf(from), timeOf(to))), want.sessionsOf(&key, from, to))
	every := sessionTexts(x.All(timeOf(from), timeOf(to)))
	slices.Sort(every)
	expect("all sessions", every, want.sessionsOf(nil, from, to))
}

// prefixed asks the twin again, key by key.
func prefixed(all []string, want *twin, store, prefix string) (out []string) {
	for _, line := range all {
		for key := range want.tables[store] {
			if strings.HasPrefix(key, prefix) && strings.HasPrefix(line, fmt.Sprintf("%q=", key)) {
				out = append(out, line)
			}
		}
	}
	return out
}

func entryText(e Entry, ok bool) string {
	if !ok {
		return "none"
	}
	return fmt.Sprintf("%q@%d", e.Value, millis(e.Time))
}

func tableText(all func(func([]byte, Entry) bool)) (out []string) {
	for key, e := range all {
		out = append(out, fmt.Sprintf("%q=%q@%d", key, e.Value, millis(e.Time)))
	}
	return out
}

func windowTexts(all func(func(WindowKey, Entry) bool)) (out []string) {
	for w, e := range all {
		out = append(out, windowText(twinWindow{string(w.Key), millis(w.Start), w.Seq}, cell{e.Value, millis(e.Time)}))
	}
	return out
}

func sessionTexts(all func(func(SessionKey, Entry) bool)) (out []string) {
	for x, e := range all {
		out = append(out, sessionText(twinSession{string(x.Key), millis(x.Start), millis(x.End)}, cell{e.Value, millis(e.Time)}))
	}
	return out
}
