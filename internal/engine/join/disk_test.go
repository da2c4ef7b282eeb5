package join

import (
	"testing"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
)

// TestWhatWaitsSurvivesARestartFromDisk commits one record, begins another, and starts again from the files: the committed
// one meets, or is closed; the other has not been there.
func TestWhatWaitsSurvivesARestartFromDisk(t *testing.T) {
	cfg := within(Left, 5, 5, 0)
	var specs []store.Spec
	for _, s := range cfg.Stores() {
		s.Name = store.NameOf("j", s.Name)
		specs = append(specs, s)
	}
	dir, out := t.TempDir(), lines{}
	start := func() (*world, *streamJoin) {
		state, err := store.Open(store.Options{Dir: dir, Specs: specs, Identity: "t"})
		must(t, err)
		w := newWorld(t, nil)
		w.state = state
		j := &streamJoin{w: w, cfg: cfg, p: NewStreamStream(cfg)}
		w.open(t, "j", j.p, out.emit)
		return w, j
	}
	commit := func(w *world) {
		w.state.Seal()
		must(t, w.state.Commit(map[string]int64{"j-left": 1, "j-right": 1, "j-waiting": 1}))
	}
	feed := func(w *world, j *streamJoin, side int, value string, at int64) {
		r := rec("k", value, at)
		r.Origin = record.Origin{Topic: "t", Offset: at}
		w.feed(t, j.p, side, r)
	}

	w, j := start()
	feed(w, j, leftSide, "A", 10)
	feed(w, j, leftSide, "B", 11)
	commit(w)
	feed(w, j, leftSide, "lost", 11)
	w.state.Abort()
	w.close(t)

	w, j = start()
	feed(w, j, rightSide, "a", 5)
	commit(w)
	w.close(t)
	same(t, out.take(), []string{"k=[k A a] was - @10"})

	w, j = start()
	feed(w, j, rightSide, "b", 100)
	w.close(t)
	same(t, out.take(), []string{"k=[k B -] was - @11"})
}
