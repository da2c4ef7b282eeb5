package journal

import (
	"fmt"
	"runtime"
	"testing"

	"ravenswood.dev/internal/broker/disk"
)

// text is an entry as tests compare it.
func text(kind, version uint16, payload []byte) string {
	return fmt.Sprintf("%d.%d %s", kind, version, payload)
}

// reopened opens a journal and replays it.
func reopened(t testing.TB, fs disk.FS, o Options) (*Journal, Recovery, []string) {
	t.Helper()
	j, err := Open(fs, "journal", o)
	if err != nil {
		t.Fatal(err)
	}
	entries := []string{}
	r, err := j.Replay(func(kind, version uint16, payload []byte) error {
		entries = append(entries, text(kind, version, payload))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return j, r, entries
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEntriesComeBackInOrder(t *testing.T) {
	for name, fs := range map[string]disk.FS{"memory": disk.NewMemory(), "os": disk.OS(t.TempDir())} {
		t.Run(name, func(t *testing.T) {
			j, _, _ := reopened(t, fs, Options{})
			want := []string{}
			for i := range 100 {
				payload := fmt.Appendf(nil, "entry %d", i)
				must(t, j.Append(7, uint16(i), payload))
				want = append(want, text(7, uint16(i), payload))
				if i%10 == 0 {
					must(t, j.Sync())
				}
			}
			must(t, j.Close())
			j, r, got := reopened(t, fs, Options{})
			if fmt.Sprint(got) != fmt.Sprint(want) || r.Entries != 100 || r.Cut != 0 {
				t.Errorf("got %q, %+v", got, r)
			}
			must(t, j.Checkpoint(func(add Add) error { return add(1, 1, []byte("state")) }))
			if j.Bytes() != 0 {
				t.Errorf("%d bytes after a checkpoint", j.Bytes())
			}
			must(t, j.Append(2, 1, []byte("more")))
			must(t, j.Close())
			if _, _, got = reopened(t, fs, Options{}); fmt.Sprint(got) != "[1.1 state 2.1 more]" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestReplayHoldsAWindowOnly: what a start takes does not grow with the journal.
func TestReplayHoldsAWindowOnly(t *testing.T) {
	fs := disk.OS(t.TempDir())
	j, _, _ := reopened(t, fs, Options{NoSync: true})
	payload := make([]byte, 3000)
	for range 5000 {
		must(t, j.Append(1, 1, payload))
	}
	must(t, j.Close())
	j, err := Open(fs, "journal", Options{NoSync: true})
	must(t, err)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := j.Replay(func(uint16, uint16, []byte) error { return nil })
	runtime.ReadMemStats(&after)
	must(t, err)
	must(t, j.Close())
	if got := after.TotalAlloc - before.TotalAlloc; r.Entries != 5000 || r.Bytes < 15e6 || got > 1<<20 {
		t.Errorf("%d bytes taken for %+v", got, r)
	}
}

func BenchmarkAppend(b *testing.B) {
	j, _, _ := reopened(b, disk.OS(b.TempDir()), Options{NoSync: true})
	payload := make([]byte, 200)
	b.ReportAllocs()
	for b.Loop() {
		must(b, j.Append(1, 1, payload))
	}
	must(b, j.Close())
}

func BenchmarkReplay(b *testing.B) {
	fs := disk.OS(b.TempDir())
	j, _, _ := reopened(b, fs, Options{NoSync: true})
	payload := make([]byte, 200)
	for range 50_000 {
		must(b, j.Append(1, 1, payload))
	}
	must(b, j.Close())
	b.SetBytes(50_000 * (200 + entryBytes))
	b.ReportAllocs()
	for b.Loop() {
		j, err := Open(fs, "journal", Options{NoSync: true})
		must(b, err)
		_, err = j.Replay(func(uint16, uint16, []byte) error { return nil })
		must(b, err)
		must(b, j.Close())
	}
}
