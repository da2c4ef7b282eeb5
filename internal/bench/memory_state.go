package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
)

// StateMemory is what a worker needs while it counts over many keys that are on disk.
type StateMemory struct {
	Benchmark string      `json:"benchmark"`
	Keys      int         `json:"keys"`
	ValueSize int         `json:"value_bytes"`
	StoreMB   float64     `json:"store_mb"` // keys and values
	Steps     []StateStep `json:"steps"`    // the memory after each tenth of the keys, then of some of them once more
	RSSPeak   float64     `json:"rss_mb_peak"`
	RSSEnd    float64     `json:"rss_mb_end"`
	HeapEnd   float64     `json:"heap_mb_end"` // alive after a collection
	Bound     float64     `json:"bound_rss_mb"`
	Machine   Machine     `json:"machine"`
}

// StateStep is the memory of the worker at a moment.
type StateStep struct {
	Records int64   `json:"records"`
	RSS     float64 `json:"rss_mb"`
	Heap    float64 `json:"heap_mb"` // alive after a collection
	Disk    float64 `json:"disk_mb"`
}

// memoryBound is what a worker with stores on disk of any size should stay below: caches and write buffers of its stores
// (store.CacheOptions), what is in hand (limits), and the runtime.
const memoryBound = 768

// The worker is looked at after each tenth of the keys, and after each of two tenths that are counted once more.
const (
	stateSteps  = 10
	repeatSteps = 2
)

// Memory counts over keys that are all different, then over some of them once more, in a process of its own.
func Memory(ctx context.Context, o Options) (*StateMemory, error) {
	o = o.orElse(10_000_000, 1, 0)
	c, err := newCluster(ctx, o)
	if err != nil {
		return nil, err
	}
	defer c.close()
	w := WorkerOptions{ID: "a", Topology: unique("memory"), Input: unique("in"), Bolt: "count", Dir: filepath.Join(c.dir, "a")}
	p, err := w.plan()
	if err != nil {
		return nil, err
	}
	if err := c.prepare(ctx, p); err != nil {
		return nil, err
	}
	worker, err := c.startWorker(ctx, o, w)
	if err != nil {
		return nil, err
	}
	r := &StateMemory{
		Benchmark: "memory", Keys: o.Records, ValueSize: stateValue, StoreMB: round(float64(o.Records)*(8+stateValue)/megabyte, 1),
		Bound: memoryBound, Machine: o.machine(),
	}
	if err := r.passes(ctx, o, c, w.Input, worker); err != nil {
		worker.kill()
		return nil, err
	}
	return r, worker.stop()
}

// passes writes the keys in steps, each when the one before has been counted.
func (r *StateMemory) passes(ctx context.Context, o Options, c *cluster, in string, worker *process) error {
	step := o.Records / stateSteps
	if step == 0 {
		return errors.New("there are fewer records than steps")
	}
	for i := range stateSteps + repeatSteps {
		if err := c.fill(ctx, in, step, func(n int) (k, v []byte) {
			// Spread over the key space, so that a step touches all of the store as real keys do.
			return binary.BigEndian.AppendUint64(nil, scatter(uint64(i%stateSteps*step+n))), []byte{1}
		}); err != nil {
			return err
		}
		target := int64((i + 1) * step)
		s, err := worker.until(ctx, "records to be counted", func(s workerStatus) bool { return s.In >= target })
		if err != nil {
			return err
		}
		if s.Out != target { // each record that is counted gives a result
			return fmt.Errorf("%d of %d records were counted", s.Out, target)
		}
		now, peak := worker.resident()
		if s, err = worker.status(askHeap); err != nil {
			return err
		}
		r.Steps = append(r.Steps, StateStep{Records: target, RSS: round(now, 1), Heap: s.Live, Disk: round(float64(s.Disk)/megabyte, 1)})
		r.RSSPeak, r.HeapEnd = round(peak, 1), s.Live
		o.say("  %9d records: RSS %.0f MB, at most %.0f MB; heap %.0f MB; %.0f MB on disk", target, now, peak, s.Live, float64(s.Disk)/megabyte)
	}
	r.RSSEnd = r.Steps[len(r.Steps)-1].RSS
	o.say("memory: RSS at most %.0f MB (bound %.0f MB) with %d keys, %.0f MB of them", r.RSSPeak, r.Bound, r.Keys, r.StoreMB)
	return nil
}

// scatter spreads numbers over all of 64 bits, each to another place.
func scatter(n uint64) uint64 { return n * 0x9e3779b97f4a7c15 }
