package store

import (
	"encoding/binary"
	"testing"
	"time"
)

// inGround counts what is kept of a store, seen or not.
func inGround(t *testing.T, s *State, store string) (n int) {
	t.Helper()
	c, err := s.byName[store].ground.cursor(nil, after(s.byName[store].number))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	c.seek(s.byName[store].number)
	for c.next() != nil {
		n++
	}
	return n
}

// TestWhatIsGoneIsNotKept lets stream time go on for many retentions, a new key each second: what is kept must stay in
// proportion to what is there, in memory and on disk.
func TestWhatIsGoneIsNotKept(t *testing.T) {
	const seconds, perTransaction = 3000, 50
	live := int(twinRetention / time.Second)
	for name, dir := range map[string]string{"memory": "", "disk": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			s := openTest(t, Options{Dir: dir, Specs: twinSpecs()})
			defer s.Close()
			for i := range int64(seconds) {
				now := timeOf(i * 1000)
				key, e := binary.BigEndian.AppendUint64(nil, uint64(i)), Entry{Value: []byte("v"), Time: now}
				s.Observe(now)
				s.KeyValue(mortalStore).Put(key, e)
				s.Windows(windowStore).Put(key, now, 0, e)
				s.Sessions(sessionStore).Put(key, now, now, e)
				s.Versions(versionStore).Put([]byte("often"), e)
				s.Versions(versionStore).Put(key, Entry{Time: now})
				if i%perTransaction == 0 {
					s.Seal()
					if err := s.Commit(nil); err != nil {
						t.Fatal(err)
					}
				}
			}
			segment := int(segmentMin / 1000)
			for store, most := range map[string]int{
				windowStore:  live + segment + 1,
				sessionStore: live + segment + 1,
				mortalStore:  3 * live,
				versionStore: 2 * 3 * live,
			} {
				if n := inGround(t, s, store); n < live/2 || n > most {
					t.Errorf("%s keeps %d entries, of which about %d are there; at most %d are fine", store, n, live, most)
				}
			}
		})
	}
}

// TestWhatIsGoneIsNotWritten: neither by a transaction that moved stream time past its own writes, nor by a restore.
func TestWhatIsGoneIsNotWritten(t *testing.T) {
	for name, dir := range map[string]string{"memory": "", "disk": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			s := openTest(t, Options{Dir: dir, Specs: twinSpecs()})
			defer s.Close()
			s.Windows(windowStore).Put([]byte("k"), at(0), 0, Entry{Time: at(0)})
			s.Sessions(sessionStore).Put([]byte("k"), at(0), at(0), Entry{Time: at(0)})
			logged := changesOf(t, s)
			s.Observe(at(0).Add(time.Hour))
			s.Seal()
			if err := s.Commit(nil); err != nil {
				t.Fatal(err)
			}
			logged = append(logged, Change{Store: mortalStore, Key: []byte("k"), Value: []byte{}, Time: at(0)})
			for _, c := range logged {
				if err := s.Load(c.Store, []Change{c}, 1); err != nil {
					t.Fatal(err)
				}
			}
			for _, spec := range twinSpecs() {
				if n := inGround(t, s, spec.Name); n > 0 {
					t.Errorf("%s keeps %d entries that are gone", spec.Name, n)
				}
			}
		})
	}
}

// TestLoadOfAnotherRetention restores a changelog that was written with other segments.
func TestLoadOfAnotherRetention(t *testing.T) {
	long := []Spec{{Name: "w", Kind: KindWindow, Retention: time.Hour}}
	old := openTest(t, Options{Specs: long})
	old.Windows("w").Put([]byte("k"), at(100_000), 1, Entry{Value: []byte("v"), Time: at(100_000)})
	old.Windows("w").Put([]byte("k"), at(200_000), 1, Entry{Value: []byte("v"), Time: at(200_000)})
	changes := changesOf(t, old)

	long[0].Retention = 4 * time.Minute
	s := openTest(t, Options{Specs: long})
	s.Resume(at(360_000))
	if err := s.Load("w", changes, 2); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Windows("w").Get([]byte("k"), at(200_000), 1); !ok {
		t.Error("the window is not found")
	}
	if _, ok := s.Windows("w").Get([]byte("k"), at(100_000), 1); ok || inGround(t, s, "w") != 1 {
		t.Error("the window that is gone was loaded")
	}
}

// TestStreamTimeOutlivesTheProcess, but not what a transaction that did not happen said of it.
func TestStreamTimeOutlivesTheProcess(t *testing.T) {
	opt := Options{Dir: t.TempDir(), Specs: twinSpecs()}
	s := openTest(t, opt)
	s.KeyValue(mortalStore).Put([]byte("k"), Entry{Time: at(0)})
	s.KeyValue(mortalStore).Put([]byte("young"), Entry{Time: at(60_000)})
	s.Observe(at(121_000))
	s.Seal()
	if err := s.Commit(nil); err != nil {
		t.Fatal(err)
	}
	s.Observe(at(1_000_000))
	s.Close()
	s = openTest(t, opt)
	defer s.Close()
	kv := s.KeyValue(mortalStore)
	if _, ok := kv.Get([]byte("k")); ok {
		t.Error("what was gone is back")
	}
	if _, ok := kv.Get([]byte("young")); !ok {
		t.Error("stream time of an open transaction was kept")
	}
}

// TestHistoryReachesBackOneRetention: the version that was valid a retention ago is the last that is seen.
func TestHistoryReachesBackOneRetention(t *testing.T) {
	s := openTest(t, Options{Specs: twinSpecs()})
	v := s.Versions(versionStore)
	for _, minute := range []int64{1, 2, 6} {
		v.Put([]byte("k"), Entry{Value: []byte{byte('0' + minute)}, Time: at(minute * 60_000)})
	}
	for _, c := range []struct {
		name       string
		now, asked int64
		want       string
	}{
		{"all is there", 3, 1, `"1"@60000`},
		{"valid a retention ago", 6, 4, `"2"@120000`},
		{"valid before that, and still then", 6, 2, `"2"@120000`},
		{"no longer valid then", 6, 1, "none"},
		{"the latest stays", 600, 7, `"6"@360000`},
		{"the one before the latest is gone", 600, 5, "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.Observe(at(c.now * 60_000))
			if got := entryText(v.AsOf([]byte("k"), at(c.asked*60_000))); got != c.want {
				t.Errorf("as of minute %d, at minute %d: %s, want %s", c.asked, c.now, got, c.want)
			}
		})
	}
}
