package engine_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
)

// A process that was down for longer than its changelogs keep deletions can't go on with what is on its disk.
func TestAProcessThatWasDownForLongRestoresItsStoresWhole(t *testing.T) {
	for _, c := range []struct {
		name     string
		keeps    string // milliseconds
		meantime int    // records while it is down
		restored int64
	}{
		{"long, and others wrote", "400", 200, 220},
		{"for a short time", "86400000", 200, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, p := newRig(t), counted()
			p.Topics[len(p.Topics)-1].Spec.Config["delete.retention.ms"] = c.keeps
			r.ensure(p)
			dir, seen := t.TempDir(), newWatch(r.log.Handler())
			keep := func(env *engine.Env) { env.StateDir, env.Log = dir, slog.New(seen) }
			_, stop := r.run(p, "a", keep)
			r.send(c.meantime, c.meantime)
			r.awaitCounts(c.meantime, 1)
			stop()
			down := time.Now()
			_, stop = r.run(p, "b")
			r.send(20, 20)
			r.await("twenty more", func() bool { return len(r.read("out")) == c.meantime+20 })
			stop()
			r.await("half a second is over", func() bool { return time.Since(down) > 400*time.Millisecond })
			seen.reset()
			_, stop = r.run(p, "a", keep)
			r.send(20, 20)
			r.await("twenty more", func() bool { return len(r.read("out")) == c.meantime+40 })
			stop()
			r.counts() // fails if a count is not the next one
			if n := seen.sum("stores restored", "records"); n != c.restored {
				t.Errorf("%d records were restored, want %d", n, c.restored)
			}
		})
	}
}

// recaller keeps the last value of each key and emits the one before.
type recaller struct {
	c     processor.Context
	store store.KeyValue
}

func (c *recaller) Open(ctx processor.Context) error {
	c.c, c.store = ctx, ctx.KeyValue("last")
	return nil
}

func (c *recaller) Process(_ int, r *record.Record) error {
	out := *r
	out.Value = []byte(`"nothing"`)
	if e, ok := c.store.Get(r.Key); ok {
		out.Value = e.Value
	}
	c.store.Put(r.Key, store.Entry{Value: r.Value, Time: r.Time})
	c.c.Emit(0, &out)
	return nil
}

// recalling is in -> recall -> out; the store is a copy of the topic "in".
func recalling() *topology.Plan {
	p := counted()
	d := component.DefineProcessor[noConfig](component.Spec{Name: "recall"}, nil,
		func(*noConfig) component.Shape { return component.Shape{Stores: []store.Spec{{}}} },
		func(*noConfig, component.Env) (processor.Processor, error) { return &recaller{}, nil })
	p.Bolts[0].Component, p.Bolts[0].Config = d, d.NewConfig()
	p.Stages[0].Stores = []topology.Store{{Spec: store.Spec{Name: "last"}, Bolt: "b0", Changelog: "in", Source: true}}
	return p
}

// After the offsets have gone back, as by a reset of tables, nobody must find the future in a table: neither in a folder of
// before nor in a snapshot.
func TestATableDoesNotKnowTheFutureAfterItsOffsetsWentBack(t *testing.T) {
	for _, c := range []struct {
		name         string
		keep, bucket bool // the folder is there still; snapshots are taken
	}{{"with a folder of before", true, false}, {"with a snapshot of before", false, true}} {
		t.Run(c.name, func(t *testing.T) {
			r, p := newRig(t), recalling()
			r.ensure(p)
			dir, saved, seen := t.TempDir(), t.TempDir(), newWatch(r.log.Handler())
			keep := func(env *engine.Env) {
				env.StateDir, env.Log = dir, slog.New(seen)
				if c.bucket {
					env.Snapshots, env.SnapshotEvery = saved, 30*time.Millisecond
				}
			}
			_, stop := r.run(p, "a", keep)
			cl := r.client()
			for i := range 3 {
				r.sendAll(cl, &kgo.Record{Topic: "in", Key: []byte("k"), Value: fmt.Append(nil, i)})
			}
			r.awaitOut("out", 3)
			if c.bucket {
				r.await("a snapshot", func() bool { return seen.sum("snapshot saved", "files") > 0 && idle(seen) })
			}
			stop()
			if !c.keep {
				dir = t.TempDir()
			}
			admin, err := kafka.NewAdmin(r.cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer admin.Close()
			if err := admin.DeleteGroupOffsets(t.Context(), p.Group, "in"); err != nil {
				t.Fatal(err)
			}
			_, stop = r.run(p, "a", keep)
			out := r.awaitOut("out", 6)
			stop()
			for i, want := range []string{`"nothing"`, "0", "1", `"nothing"`, "0", "1"} {
				if got := string(out[i].Value); got != want {
					t.Errorf("record %d: the table had %s, want %s", i, got, want)
				}
			}
			if c.bucket {
				if n := seen.sum("snapshot fetched", "files"); n == 0 {
					t.Error("no snapshot was fetched: this says nothing")
				}
			} else if _, err := os.Stat(filepath.Join(dir, "stores", "a", "folders.json")); err != nil {
				t.Error(err)
			}
		})
	}
}
