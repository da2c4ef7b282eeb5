package snapshot

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ravenswood.dev/internal/engine/store"
)

// rig is a bucket in a folder and a task with a store.
type rig struct {
	t      *testing.T
	folder string
	bucket *Bucket
	task   Task
	dir    string
	state  *store.State
	next   int64
}

func newRig(t *testing.T, opt Options) *rig {
	t.Helper()
	r := &rig{t: t, folder: t.TempDir(), task: Task{
		Topology: "shop", Stage: "totals", Partition: 3, Identity: "shop/totals/3", Origins: map[string]string{"totals": "shop.totals.changelog@1"},
	}}
	r.bucket = r.open(opt)
	r.dir = filepath.Join(t.TempDir(), "3")
	r.state = r.openState(r.dir)
	return r
}

func (r *rig) open(opt Options) *Bucket {
	r.t.Helper()
	b, err := Open(r.t.Context(), r.folder, opt)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = b.Close() })
	return b
}

func (r *rig) openState(dir string) *store.State {
	r.t.Helper()
	s, err := store.Open(store.Options{Dir: dir, Specs: []store.Spec{{Name: "totals"}}, Identity: r.task.Identity, Origins: r.task.Origins})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = s.Close() })
	return s
}

// load puts n more keys into the store, with values that do not compress.
func (r *rig) load(n int) {
	r.t.Helper()
	var changes []store.Change
	for range n {
		value := make([]byte, 1000)
		_, _ = rand.Read(value)
		changes = append(changes, store.Change{Store: "totals", Key: fmt.Appendf(nil, "k%08d", r.next), Value: value})
		r.next++
	}
	if err := r.state.Load("totals", changes, r.next); err != nil {
		r.t.Fatal(err)
	}
}

// reopen makes a table of what was loaded: Pebble flushes its log when it opens a database.
func (r *rig) reopen() {
	r.t.Helper()
	if err := r.state.Close(); err != nil {
		r.t.Fatal(err)
	}
	r.state = r.openState(r.dir)
}

func (r *rig) save(b *Bucket) Saved {
	r.t.Helper()
	saved, err := b.Save(r.t.Context(), r.task, r.state, filepath.Join(r.t.TempDir(), "scratch"))
	if err != nil {
		r.t.Fatal(err)
	}
	return saved
}

// fetch returns the checkpoint of what was fetched and checks that it holds that many keys; -1 if nothing was.
func (r *rig) fetch() (checkpoint int64, err error) {
	r.t.Helper()
	dir := filepath.Join(r.t.TempDir(), "new", "3")
	got, err := r.bucket.Fetch(r.t.Context(), r.task, dir)
	if got == nil {
		for _, left := range []string{dir, dir + ".fetching"} {
			if _, err := os.Stat(left); !os.IsNotExist(err) {
				r.t.Errorf("nothing was fetched, but there is %q", left)
			}
		}
		return -1, err
	}
	s := r.openState(dir)
	checkpoint = s.Checkpoint("totals")
	if got.Manifest.Stores[0].Checkpoint > checkpoint {
		r.t.Errorf("the manifest promises %d, the files have %d", got.Manifest.Stores[0].Checkpoint, checkpoint)
	}
	kv := s.KeyValue("totals")
	for _, i := range []int64{0, checkpoint / 2, checkpoint - 1} {
		if e, ok := kv.Get(fmt.Appendf(nil, "k%08d", i)); !ok || len(e.Value) != 1000 {
			r.t.Errorf("key %d of %d is not there", i, checkpoint)
		}
	}
	return checkpoint, err
}

func (r *rig) paths(kind string) []string {
	r.t.Helper()
	all, err := filepath.Glob(filepath.Join(r.folder, "shop", "totals", "3", kind, "*"))
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

// newestManifest is the path of what was saved last.
func (r *rig) newestManifest() string { return slices.Max(r.paths("manifests")) }

func TestAFetchedSnapshotIsWhatWasSaved(t *testing.T) {
	r := newRig(t, Options{})
	if at, err := r.fetch(); at != -1 || err != nil {
		t.Fatalf("fetched %d, %v of an empty bucket", at, err)
	}
	r.load(500)
	r.save(r.bucket)
	r.load(10)
	if at, err := r.fetch(); at != 500 || err != nil {
		t.Fatalf("fetched up to %d, %v, want 500", at, err)
	}
}

func TestWhatIsThereIsNotUploadedAgain(t *testing.T) {
	r := newRig(t, Options{})
	r.load(3000)
	r.reopen()
	first := r.save(r.bucket)
	r.load(10)
	second := r.save(r.bucket)
	other := r.save(r.open(Options{})) // of another process
	if first.Uploaded != first.Bytes || second.Uploaded > first.Bytes*3/4 || other.Uploaded > first.Bytes*3/4 {
		t.Errorf("uploaded %d of %d, then %d of %d, then %d of %d by another", first.Uploaded, first.Bytes, second.Uploaded, second.Bytes, other.Uploaded, other.Bytes)
	}
	if at, err := r.fetch(); at != 3010 || err != nil {
		t.Errorf("fetched up to %d, %v", at, err)
	}
}

func TestABrokenSnapshotIsReportedAndTheOneBeforeIsTaken(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, r *rig)
	}{
		{"a flipped bit", func(t *testing.T, r *rig) {
			change(t, r.largestOfNewest(), func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
		}},
		{"a file that is cut", func(t *testing.T, r *rig) {
			change(t, r.largestOfNewest(), func(b []byte) []byte { return b[:len(b)-1] })
		}},
		{"a file that is longer", func(t *testing.T, r *rig) {
			change(t, r.largestOfNewest(), func(b []byte) []byte { return append(b, 0) })
		}},
		{"a file that is gone", func(t *testing.T, r *rig) { remove(t, r.largestOfNewest()) }},
		{"a manifest that is cut", func(t *testing.T, r *rig) {
			change(t, r.newestManifest(), func(b []byte) []byte { return b[:len(b)/2] })
		}},
		{"a manifest of another format", func(t *testing.T, r *rig) {
			change(t, r.newestManifest(), func(b []byte) []byte { return []byte(strings.Replace(string(b), `"format":1`, `"format":2`, 1)) })
		}},
		{"a manifest that leaves its folder", func(t *testing.T, r *rig) {
			change(t, r.newestManifest(), func(b []byte) []byte {
				return []byte(strings.Replace(string(b), `"name":"MANIFEST`, `"name":"../MANIFEST`, 1))
			})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Options{})
			r.load(10)
			r.save(r.bucket)
			time.Sleep(2 * time.Millisecond) // sleep: so that the names of the manifests are in order
			r.load(10)
			r.save(r.bucket)
			c.spoil(t, r)
			if at, err := r.fetch(); at != 10 || err != nil {
				t.Errorf("fetched up to %d, %v, want the 10 of the snapshot before", at, err)
			}
			remove(t, slices.Min(r.paths("manifests")))
			if at, err := r.fetch(); at != -1 || err == nil {
				t.Errorf("fetched up to %d, %v, want nothing and a reason", at, err)
			}
		})
	}
}

// largestOfNewest is the file of the newest snapshot that no other has: the log with the records.
func (r *rig) largestOfNewest() string {
	r.t.Helper()
	text, err := os.ReadFile(r.newestManifest())
	if err != nil {
		r.t.Fatal(err)
	}
	m, err := decode(text, DefaultMaxBytes)
	if err != nil {
		r.t.Fatal(err)
	}
	largest := slices.MaxFunc(m.Files, func(a, b File) int { return int(a.Size - b.Size) })
	return filepath.Join(r.folder, "shop", "totals", "3", "files", largest.Blob)
}

func change(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, change(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func TestAForeignSnapshotIsNotUsed(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Task)
		usable bool
	}{
		{"another identity", func(t *Task) { t.Identity = "shop/totals/4" }, false},
		{"a topic that was made again", func(t *Task) { t.Origins = map[string]string{"totals": "shop.totals.changelog@2"} }, false},
		{"one more store", func(t *Task) {
			t.Origins = map[string]string{"totals": "shop.totals.changelog@1", "more": "shop.more.changelog@9"}
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Options{})
			r.load(5)
			r.save(r.bucket)
			c.change(&r.task)
			got, err := r.bucket.Fetch(t.Context(), r.task, filepath.Join(t.TempDir(), "new"))
			if (got != nil) != c.usable || (err == nil) != c.usable {
				t.Errorf("fetched %+v, %v", got, err)
			}
		})
	}
}

func TestAFolderThatExistsIsNotTouched(t *testing.T) {
	r := newRig(t, Options{})
	r.load(5)
	r.save(r.bucket)
	dir := t.TempDir()
	if got, err := r.bucket.Fetch(t.Context(), r.task, dir); got != nil || err == nil {
		t.Errorf("fetched %+v, %v into a folder that exists", got, err)
	}
}

// Two owners save at once, as in a hand-over, with so short a grace that both remove what they can.
func TestTwoOwnersDoNotRemoveEachOthersFiles(t *testing.T) {
	const grace = time.Second
	r := newRig(t, Options{Grace: grace})
	r.load(200)
	r.save(r.bucket)
	ctx, cancel := context.WithTimeout(t.Context(), 3*grace)
	defer cancel()
	var both sync.WaitGroup
	scratch := t.TempDir()
	for i, b := range []*Bucket{r.bucket, r.open(Options{Grace: grace})} {
		both.Go(func() {
			for ctx.Err() == nil {
				_, err := b.Save(t.Context(), r.task, r.state, filepath.Join(scratch, fmt.Sprint(i)))
				if err != nil && !errors.Is(err, context.DeadlineExceeded) { // half the grace is little on a busy machine
					t.Error(err)
					return
				}
			}
		})
	}
	for ctx.Err() == nil {
		r.load(20)
		before := r.next
		if at, err := r.fetch(); err != nil || at > before {
			t.Fatalf("fetched %d, %v", at, err)
		}
	}
	both.Wait()
	if at, err := r.fetch(); err != nil || at < 200 {
		t.Errorf("fetched %d, %v in the end", at, err)
	}
}

func TestWhatNobodyNeedsIsRemoved(t *testing.T) {
	r := newRig(t, Options{})
	stray := filepath.Join(r.folder, "shop", "totals", "3", "files", strings.Repeat("a", 64)+".0011223344556677")
	for i := range 6 {
		r.load(50)
		r.reopen()
		r.save(r.bucket)
		if i == 0 {
			write(t, stray)
		}
		if files := len(r.paths("files")); i < 2 && files < 2*(i+1) {
			t.Errorf("%d files are left of %d snapshots", files, i+1)
		}
		r.age(DefaultGrace * 2 / 3)
	}
	if n := len(r.paths("manifests")); n != kept+1 { // the third was replaced by the second within the grace
		t.Errorf("%d manifests are left", n)
	}
	if _, err := os.Stat(stray); !os.IsNotExist(err) {
		t.Errorf("what a crash left behind is still there: %v", err)
	}
	if at, err := r.fetch(); at != 300 || err != nil {
		t.Errorf("fetched up to %d, %v", at, err)
	}
}

// age makes everything in the storage older, as if time had passed.
func (r *rig) age(by time.Duration) {
	r.t.Helper()
	for _, path := range append(r.paths("manifests"), r.paths("files")...) {
		info, err := os.Stat(path)
		if err == nil {
			err = os.Chtimes(path, time.Time{}, info.ModTime().Add(-by))
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOpenSaysWhatItCannotOpen(t *testing.T) {
	for _, at := range []string{"", "gs://x", "file://host/x", "file:///x?y=z", "s3://b?nonsense=1", "%zz://x"} {
		if b, err := Open(t.Context(), at, Options{}); err == nil {
			t.Errorf("open %q: %v", at, b)
		}
	}
}

func FuzzManifest(f *testing.F) {
	h := strings.Repeat("0", 64)
	f.Add([]byte(`{"format":1,"identity":"a","stores":[{"name":"s","origin":"o","checkpoint":3}],"files":[{"name":"000004.sst","size":3,"sha256":"` + h + `","blob":"` + h + `.0011223344556677"}]}`))
	f.Add([]byte(`{"format":1,"files":[{"name":"..","size":-1}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := decode(text, 1000)
		if err != nil {
			return
		}
		for _, file := range m.Files {
			if file.Name != filepath.Base(file.Name) || file.Name == ".." || strings.ContainsAny(file.Blob, "/\\") || file.Size < 0 || file.Size > 1000 {
				t.Errorf("accepted %+v", file)
			}
		}
	})
}

// A snapshot that the changelog can't make up for is not worth its way.
func TestASnapshotThatIsTooOldIsNotFetched(t *testing.T) {
	for _, c := range []struct {
		name   string
		usable func([]Store) bool
		want   int64
	}{
		{"nobody asks", nil, 10},
		{"fresh", func(s []Store) bool {
			return len(s) == 1 && s[0].Checkpoint == 10 && s[0].Current.Equal(time.UnixMilli(1_700_000_000_000))
		}, 10},
		{"too old", func([]Store) bool { return false }, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Options{})
			r.load(10)
			if err := r.state.Confirm("totals", time.UnixMilli(1_700_000_000_000)); err != nil {
				t.Fatal(err)
			}
			r.save(r.bucket)
			r.task.Usable = c.usable
			if at, err := r.fetch(); at != c.want || (err == nil) != (c.want >= 0) {
				t.Errorf("fetched one that stands at %d, %v; want %d", at, err, c.want)
			}
		})
	}
}
