package engine_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"ravenswood.dev/internal/engine"
)

// A machine that is lost is replaced by one that has nothing: it takes the snapshots and reads only what came after them.
func TestANewMachineReadsOnlyWhatCameAfterTheSnapshot(t *testing.T) {
	for _, c := range []struct {
		name    string
		spoil   func(t *testing.T, folder string)
		records int64 // that are restored
	}{
		{"from the snapshot", func(*testing.T, string) {}, 10},
		{"broken: from the changelog", spoilManifests, 1010},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, p := newRig(t), counted()
			r.ensure(p)
			folder, seen := t.TempDir(), newWatch(r.log.Handler())
			with := func(env *engine.Env) {
				env.Snapshots, env.SnapshotEvery, env.Log = folder, 30*time.Millisecond, slog.New(seen)
			}
			_, stop := r.run(p, "a", with)
			r.send(1000, 1000)
			r.awaitCounts(1000, 1)
			seen.reset()
			r.await("a snapshot of each task", func() bool { return seen.sum("snapshot saved", "files") > 0 && savedTasks(folder) == 4 && idle(seen) })
			stop()

			_, stop = r.run(p, "a", func(env *engine.Env) { with(env); env.SnapshotEvery = time.Hour }) // what it works on is in no snapshot
			r.send(10, 10)
			r.await("ten more", func() bool { return len(r.read("out")) == 1010 })
			stop()
			c.spoil(t, folder)
			seen.reset()
			_, stop = r.run(p, "a", with)
			r.send(10, 10)
			r.await("ten more", func() bool { return len(r.read("out")) == 1020 })
			r.await("all tasks", func() bool { return seen.sum("stores restored", "records") >= c.records }) // one may have had none of the ten
			stop()
			counts := r.counts() // fails if a count is not the next one
			if counts["k0"] != 3 || counts["k999"] != 1 {
				t.Errorf("counted %d and %d, want 3 and 1", counts["k0"], counts["k999"])
			}
			if n := seen.sum("stores restored", "records"); n != c.records {
				t.Errorf("%d records were restored, want %d", n, c.records)
			}
		})
	}
}

func savedTasks(folder string) int {
	all, _ := filepath.Glob(filepath.Join(folder, "t", "count", "*", "manifests")) // the pattern is right
	return len(all)
}

// idle says whether all that was committed has been saved: nothing new was saved for a while.
func idle(w *watch) bool {
	before := w.sum("snapshot saved", "files")
	time.Sleep(150 * time.Millisecond) // sleep: five times as long as a round of saving takes to begin
	return w.sum("snapshot saved", "files") == before
}

func spoilManifests(t *testing.T, folder string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(folder, "t", "count", "*", "manifests", "*"))
	for _, path := range all {
		if err == nil {
			err = os.WriteFile(path, []byte("{"), 0o600)
		}
	}
	if err != nil || len(all) == 0 {
		t.Fatalf("spoil %d manifests: %v", len(all), err)
	}
}

// watch is a log handler that adds up attributes of messages.
type watch struct {
	slog.Handler
	mu   sync.Mutex
	sums map[string]int64
}

func newWatch(next slog.Handler) *watch { return &watch{Handler: next, sums: make(map[string]int64)} }

func (w *watch) Enabled(context.Context, slog.Level) bool { return true }

func (w *watch) WithAttrs([]slog.Attr) slog.Handler { return w }

func (w *watch) Handle(ctx context.Context, r slog.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.Attrs(func(a slog.Attr) bool {
		if a.Value.Kind() == slog.KindInt64 {
			w.sums[r.Message+" "+a.Key] += a.Value.Int64()
		}
		return true
	})
	if w.Handler.Enabled(ctx, r.Level) {
		return w.Handler.Handle(ctx, r)
	}
	return nil
}

func (w *watch) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.sums)
}

func (w *watch) sum(message, attr string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sums[message+" "+attr]
}
