package snapshot

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const ownPrint = "00112233445566aa"

func manifestNamed(fingerprint string, n int) string {
	return fmt.Sprintf("%s-%014d-%016x.json", fingerprint, 0, n)
}

func TestRetired(t *testing.T) {
	const grace = time.Hour
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ago := func(fingerprint string, n int, d time.Duration) object {
		return object{name: manifestNamed(fingerprint, n), written: now.Add(-d)}
	}
	const other = "ffffffffffffffff"
	for _, c := range []struct {
		name string
		have []object
		want []int // numbers of those that go
	}{
		{"one of any age stays", []object{ago(ownPrint, 1, 1000*time.Hour)}, nil},
		{"two of any age stay", []object{ago(ownPrint, 1, 1000*time.Hour), ago(ownPrint, 2, 900*time.Hour)}, nil},
		{"one that was replaced just now stays", []object{ago(ownPrint, 1, 1000*time.Hour), ago(ownPrint, 2, 30*time.Minute), ago(ownPrint, 3, 0)}, nil},
		{"one that was replaced long ago goes", []object{ago(ownPrint, 1, 3*time.Hour), ago(ownPrint, 2, 2*time.Hour), ago(ownPrint, 3, 0)}, []int{1}},
		{"another's of today stays", []object{ago(other, 1, 24*time.Hour), ago(ownPrint, 2, 0)}, nil},
		{"another's of last month goes", []object{ago(other, 1, 31*24*time.Hour), ago(ownPrint, 2, 0)}, []int{1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var want []string
			for _, n := range c.want {
				want = append(want, c.have[n-1].name)
			}
			if got := retired(c.have, ownPrint, now, grace); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// world is a storage with several processes at it, in virtual time; each step of theirs is one call to the storage.
type world struct {
	t         *rapid.T
	now       time.Time
	next      int
	manifests map[string]modelManifest
	files     map[string]time.Time
}

type modelManifest struct {
	written time.Time
	files   []string
}

// saver is a process that saves, as Save does: step after step, until it is done or has no time left.
type saver struct {
	steps []func() // what is left of it
	until time.Time
}

const modelGrace = 100 * time.Second

func (w *world) newName() string { w.next++; return fmt.Sprint(w.next) }

func (w *world) objects() (manifests []object) {
	for name, m := range w.manifests {
		manifests = append(manifests, object{name: name, written: m.written})
	}
	return manifests
}

func (w *world) begin(s *saver) {
	var names []string
	var all []object
	s.until = w.now.Add(modelGrace / 2)
	look := func() {
		if own := newestFirst(w.objects(), ownPrint); len(own) > 0 && buildable(own[0], w.now) {
			for _, f := range w.manifests[own[0].name].files {
				if rapid.IntRange(0, 3).Draw(w.t, "the file is gone from the store") > 0 {
					names = append(names, f)
				}
			}
		}
	}
	upload := func() {
		name := w.newName()
		w.files[name] = w.now
		names = append(names, name)
	}
	write := func() {
		w.next++
		w.manifests[manifestNamed(ownPrint, w.next)] = modelManifest{w.now, names}
	}
	list := func() {
		all = w.objects()
		newest := slices.MaxFunc(all, func(a, b object) int { return a.written.Compare(b.written) }).written
		old := retired(all, ownPrint, newest, modelGrace)
		s.steps = append(s.steps, w.tidying(s, all, old, newest)...)
	}
	s.steps = []func(){look, upload, write, list}
}

// tidying is what Bucket.tidy does once it knows what is there.
func (w *world) tidying(s *saver, all []object, old []string, newest time.Time) (steps []func()) {
	for _, name := range old {
		steps = append(steps, func() { delete(w.manifests, name) })
	}
	return append(steps, func() {
		var have []object
		for name, written := range w.files {
			have = append(have, object{name: name, written: written})
		}
		named := make(map[string]bool)
		for _, o := range all {
			if !slices.Contains(old, o.name) {
				for _, f := range w.manifests[o.name].files {
					named[f] = true
				}
			}
		}
		for _, name := range unreferenced(have, named, newest, modelGrace) {
			s.steps = append(s.steps, func() { delete(w.files, name) })
		}
	})
}

func (w *world) check() {
	for _, name := range slices.Sorted(maps.Keys(w.manifests)) {
		for _, f := range w.manifests[name].files {
			if _, ok := w.files[f]; !ok {
				w.t.Fatalf("at %v the snapshot %s of %v has lost the file %s", w.now, name, w.manifests[name].written, f)
			}
		}
	}
}

// Whatever the order in which processes save and tidy up, no snapshot that is there lacks a file.
func TestNoSnapshotLosesAFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t: t, now: time.Unix(1e9, 0), manifests: make(map[string]modelManifest), files: make(map[string]time.Time)}
		savers := make([]saver, 3)
		for range rapid.IntRange(100, 400).Draw(t, "steps") {
			w.now = w.now.Add(time.Duration(rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, 0, 1, 20, 150}).Draw(t, "seconds")) * time.Second)
			s := &savers[rapid.IntRange(0, len(savers)-1).Draw(t, "process")]
			switch {
			case len(s.steps) == 0:
				w.begin(s)
			case w.now.After(s.until): // out of time, or dead
				s.steps = nil
			default:
				for range min(rapid.IntRange(1, 8).Draw(t, "calls"), len(s.steps)) {
					step := s.steps[0]
					s.steps = s.steps[1:]
					step()
					w.check()
				}
			}
		}
	})
}
