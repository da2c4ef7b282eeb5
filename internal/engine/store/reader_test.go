package store

import (
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

// TestReadersSeeWholeTransactions writes the same number to all keys in each transaction, while readers look for two
// different ones, and commits, aborts and open writes go on.
func TestReadersSeeWholeTransactions(t *testing.T) {
	for name, dir := range map[string]string{"memory": "", "disk": t.TempDir()} {
		t.Run(name, func(t *testing.T) { wholeTransactions(t, dir) })
	}
}

func wholeTransactions(t *testing.T, dir string) {
	const keys, transactions = 50, 200
	s := openTest(t, Options{Dir: dir, Specs: []Spec{{Name: "t"}}})
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() { readWhole(t, s.Reader().KeyValue("t"), keys, stop) })
	}
	kv := s.KeyValue("t")
	writeAll := func(n uint64) {
		for k := range uint64(keys) {
			kv.Put(binary.BigEndian.AppendUint64(nil, k), Entry{Value: binary.BigEndian.AppendUint64(nil, n)})
		}
	}
	committed := make(chan error, 1)
	committed <- nil
	for n := range uint64(transactions) {
		writeAll(n)
		if n%7 == 3 {
			if err := <-committed; err != nil { // so that nothing decided is aborted
				t.Fatal(err)
			}
			writeAll(1 << 40)
			s.Seal()
			writeAll(1 << 41)
			s.Abort()
			committed <- nil
			continue
		}
		if err := <-committed; err != nil {
			t.Fatal(err)
		}
		s.Seal()
		go func() { committed <- s.Commit(nil) }()
	}
	if err := <-committed; err != nil {
		t.Fatal(err)
	}
	close(stop)
	readers.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func readWhole(t *testing.T, kv KeyValue, keys int, stop <-chan struct{}) {
	last := uint64(0)
	for {
		select {
		case <-stop:
			return
		default:
		}
		var seen []uint64
		for _, e := range kv.Range(nil, nil) {
			seen = append(seen, binary.BigEndian.Uint64(e.Value))
		}
		if len(seen) == 0 {
			continue
		}
		if lo, hi := slices.Min(seen), slices.Max(seen); len(seen) != keys || lo != hi || lo < last || hi >= 1<<40 {
			t.Errorf("%d keys with numbers from %d to %d, after %d", len(seen), lo, hi, last)
			return
		}
		last = seen[0]
		if e, ok := kv.Get(make([]byte, 8)); !ok || binary.BigEndian.Uint64(e.Value) < last {
			t.Errorf("get after a range of %d: %v %v", last, e, ok)
			return
		}
	}
}

func TestReadersCantWrite(t *testing.T) {
	s := openTest(t, Options{Specs: twinSpecs()})
	r := s.Reader()
	for name, write := range map[string]func(){
		"key-value":               func() { r.KeyValue(tableStore).Put(nil, Entry{}) },
		"delete":                  func() { r.KeyValue(tableStore).Delete(nil, at(0)) },
		"windows":                 func() { r.Windows(windowStore).Put(nil, at(0), 0, Entry{}) },
		"sessions":                func() { r.Sessions(sessionStore).Put(nil, at(0), at(0), Entry{}) },
		"versions":                func() { r.Versions(versionStore).Put(nil, Entry{}) },
		"a store of another kind": func() { r.KeyValue(windowStore) },
		"no such store":           func() { s.KeyValue("none") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			write()
		})
	}
}

// TestCloseWaitsForQueries also asks a second thing within a query: that must not wait for Close.
func TestCloseWaitsForQueries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTest(t, Options{Specs: []Spec{{Name: "t"}}})
		put(t, s, "t", 1)
		r := s.Reader()
		kv, closed := r.KeyValue("t"), make(chan error, 1)
		for range kv.Range(nil, nil) {
			go func() { closed <- s.Close() }()
			synctest.Wait()
			kv.Get([]byte("k"))
			select {
			case err := <-closed:
				t.Errorf("closed under a query: %v", err)
				closed <- err
			default:
			}
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if _, ok := kv.Get([]byte("k")); ok || !errors.Is(r.Err(), ErrClosed) {
			t.Errorf("after Close: %v, %v", ok, r.Err())
		}
		if err := s.Load("t", nil, 1); !errors.Is(err, ErrClosed) {
			t.Errorf("load after Close: %v", err)
		}
	})
}

func TestSealWaitsForTheTransactionBefore(t *testing.T) {
	for name, decide := range map[string]func(*State) error{
		"committed": func(s *State) error { return s.Commit(nil) },
		"failed":    func(s *State) error { _ = s.fail("commit", "t", errors.New("disk full")); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := openTest(t, Options{Specs: []Spec{{Name: "t"}}})
				s.Seal()
				sealed := make(chan struct{})
				go func() { s.Seal(); close(sealed) }()
				synctest.Wait()
				select {
				case <-sealed:
					t.Error("sealed over a transaction without a decision")
				default:
				}
				if err := decide(s); err != nil {
					t.Error(err)
				}
				<-sealed
			})
		})
	}
}

func TestCommitNeedsASealedTransaction(t *testing.T) {
	s := openTest(t, Options{Specs: []Spec{{Name: "t"}}})
	s.KeyValue("t").Put(nil, Entry{})
	s.Seal()
	s.Abort()
	if err := s.Commit(map[string]int64{"t": 4}); err == nil || s.Checkpoint("t") != -1 {
		t.Errorf("commit of nothing: %v, checkpoint %d", err, s.Checkpoint("t"))
	}
}
