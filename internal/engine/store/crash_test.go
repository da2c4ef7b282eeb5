package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestCrashLeavesSomeCommittedMoment takes copies of the file system as a loss of power would leave it, at any point of
// commits, loads, flushes and compactions. Each must open as the state some transaction left, data and checkpoint
// alike.
func TestCrashLeavesSomeCommittedMoment(t *testing.T) {
	const rounds, crashes = 3, 6
	caches := NewCaches(CacheOptions{MemtableBytes: 1, States: 1})
	defer caches.Close()
	behind := 0
	for round := range uint64(rounds) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			for _, c := range crash(t, caches, round, crashes) {
				if got := checkMoment(t, caches, c.files, round); got < c.committed {
					behind++
				}
			}
		})
	}
	if behind == 0 {
		t.Error("no copy was behind the last commit: nothing was lost, so nothing was tested")
	}
}

// crashed is what is left, and the transaction that was committed at least.
type crashed struct {
	files     *vfs.MemFS
	committed int64
}

func crashOptions(files vfs.FS, caches *Caches) Options {
	return Options{Dir: "state", FS: files, Identity: "crash", Specs: twinSpecs(), Caches: caches}
}

func crash(t *testing.T, caches *Caches, seed uint64, crashes int) (all []crashed) {
	files := vfs.NewCrashableMem()
	s := openTest(t, crashOptions(files, caches))
	stop, done := make(chan struct{}), make(chan int64)
	at := make(chan int64)
	go func() {
		defer close(done)
		for i := int64(1); ; i++ {
			if err := writeMoment(s, seed, i); err != nil {
				t.Error(err)
				return
			}
			select {
			case at <- i:
			case <-stop:
				return
			}
		}
	}()
	random := rand.New(rand.NewPCG(seed, 1))
	for range crashes {
		committed := <-at
		for range random.IntN(8) {
			committed = <-at
		}
		for range random.IntN(1000) { // anywhere within the next transaction
			runtime.Gosched()
		}
		clone := files.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: random.IntN(101), RNG: random})
		all = append(all, crashed{clone, committed})
	}
	close(stop)
	<-done
	if m := s.disk.db.Metrics(); m.Flush.Count == 0 {
		t.Error("no flush: too little was written to disturb one")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return all
}

// What transaction i writes: to each store its number under a key, and now and then a large value, so that memtables
// fill.
func momentKey(i int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i%7)) }

func momentValue(seed uint64, i int64) []byte {
	size := rand.New(rand.NewPCG(seed, uint64(i))).IntN(300_000)
	return binary.BigEndian.AppendUint64(bytes.Repeat([]byte{byte(i)}, size), uint64(i))
}

func writeMoment(s *State, seed uint64, i int64) error {
	now := timeOf(i * 1000)
	if i%5 == 0 { // a standby's batch
		c := Change{Store: tableStore, Key: momentKey(i), Value: momentValue(seed, i), Time: now}
		return s.Load(tableStore, []Change{c}, i)
	}
	s.Observe(now)
	s.KeyValue(tableStore).Put(momentKey(i), Entry{momentValue(seed, i), now})
	s.KeyValue(mortalStore).Put(momentKey(i), Entry{momentKey(i), now})
	s.Windows(windowStore).Put(momentKey(i), now, uint64(i), Entry{momentKey(i), now})
	s.Versions(versionStore).Put(momentKey(i), Entry{momentKey(i), now})
	s.Seal()
	next := map[string]int64{}
	for _, spec := range twinSpecs() {
		next[spec.Name] = i
	}
	return s.Commit(next)
}

// checkMoment says which transaction was the last of what is left, after comparing everything with it.
func checkMoment(t *testing.T, caches *Caches, files *vfs.MemFS, seed uint64) int64 {
	t.Helper()
	s, err := Open(crashOptions(files, caches))
	if err != nil {
		t.Fatalf("open after the crash: %v", err)
	}
	defer s.Close()
	last := s.Checkpoint(tableStore)
	twin := momentTwin(seed, last)
	for key, e := range s.KeyValue(tableStore).Range(nil, nil) {
		want, ok := twin.tables[tableStore][string(key)]
		if !ok || !bytes.Equal(e.Value, want.value) || millis(e.Time) != want.at {
			t.Fatalf("at transaction %d the table has %x of %v, want %v", last, key, e.Time, timeOf(want.at))
		}
		delete(twin.tables[tableStore], string(key))
	}
	if missing := len(twin.tables[tableStore]); missing > 0 {
		t.Fatalf("at transaction %d the table lacks %d keys", last, missing)
	}
	if got, want := tableText(s.KeyValue(mortalStore).Range(nil, nil)), twin.tableRange(mortalStore, "", nil); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("at transaction %d the table with time to live is\n%s\nwant\n%s", last, got, want)
	}
	for k := range int64(7) {
		key := momentKey(k)
		got, want := windowTexts(s.Windows(windowStore).Fetch(key, timeOf(0), timeOf(1<<40))), twin.fetch(string(key), 0, 1<<40)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("at transaction %d the windows of %x are\n%s\nwant\n%s", last, key, got, want)
		}
		if got, want := entryText(s.Versions(versionStore).Latest(key)), twin.asOf(string(key), 1<<40); got != want {
			t.Fatalf("at transaction %d the latest version is %s, want %s", last, got, want)
		}
	}
	return last
}

func momentTwin(seed uint64, last int64) *twin {
	m := newTwin()
	for i := int64(1); i <= last; i++ {
		key, now := string(momentKey(i)), i*1000
		if i > last-7 {
			m.tables[tableStore][key] = cell{momentValue(seed, i), now}
		}
		if i%5 == 0 {
			continue
		}
		m.observed = now
		m.tables[mortalStore][key] = cell{momentKey(i), now}
		m.windows[twinWindow{key, now, uint64(i)}] = cell{momentKey(i), now}
		m.putVersion(key, now, twinVersion{value: string(momentKey(i))})
	}
	return m
}
