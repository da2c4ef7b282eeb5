package store

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// watched takes a copy of what a kill leaves before each thing that is done to files, and of what a loss of power does that
// takes all that is not synced.
type watched struct {
	files *vfs.MemFS
	left  map[string]*vfs.MemFS
	count int
}

func (w *watched) String() string { return "watched" }

func (w *watched) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
		w.count++
		for _, unsynced := range []int{0, 100} {
			cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rand.New(rand.NewPCG(uint64(w.count), 0))}
			w.left[fmt.Sprintf("%d: %v %s, %d%% of what is not synced", w.count, op.Kind, op.Path, unsynced)] = w.files.CrashClone(cfg)
		}
	}
	return nil
}

// A process that is killed while it makes a store has lost nothing: the next one makes it, and nobody hears of damage.
func TestAMakingThatIsCutShortIsDoneAgain(t *testing.T) {
	caches := NewCaches(CacheOptions{States: 1})
	defer caches.Close()
	w := &watched{files: vfs.NewCrashableMem(), left: make(map[string]*vfs.MemFS)}
	made := openTest(t, crashOptions(errorfs.Wrap(w.files, w), caches))
	left := w.left
	w.left = make(map[string]*vfs.MemFS) // of its end
	if err := made.Close(); err != nil {
		t.Error(err)
	}
	if len(left) < 20 {
		t.Fatalf("only %d moments: the making was not seen", len(left))
	}
	for name, files := range left {
		s, err := Open(crashOptions(files, caches))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: close: %v", name, err)
		}
	}
}
