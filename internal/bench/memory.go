package bench

import (
	"runtime/metrics"
	"sync"
	"time"
)

// memory watches the heap of this process while something runs. What is alive after a collection is what a leak would
// grow; what is allocated at most is what a machine must have.
type memory struct {
	live []float64 // MB after collections, in order of time
	peak float64   // MB of objects, dead ones included
	stop chan struct{}
	end  sync.WaitGroup
}

const (
	liveBytes   = "/gc/heap/live:bytes"
	objectBytes = "/memory/classes/heap/objects:bytes"
	megabyte    = 1 << 20
)

func watchMemory() *memory {
	m := &memory{stop: make(chan struct{})}
	m.end.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			m.sample()
			select {
			case <-tick.C:
			case <-m.stop:
				return
			}
		}
	})
	return m
}

func (m *memory) sample() {
	read := []metrics.Sample{{Name: liveBytes}, {Name: objectBytes}}
	metrics.Read(read)
	m.live = append(m.live, float64(read[0].Value.Uint64())/megabyte)
	m.peak = max(m.peak, float64(read[1].Value.Uint64())/megabyte)
}

// close ends the watch; without one there is nothing to end.
func (m *memory) close() {
	if m.stop != nil {
		close(m.stop)
	}
	m.end.Wait()
}

// Heap is how much memory the process needed, broker included if it is the embedded one.
type Heap struct {
	Start float64 `json:"heap_mb_start"` // alive, median over the first quarter of the time
	End   float64 `json:"heap_mb_end"`   // alive, median over the last quarter
	Peak  float64 `json:"heap_mb_peak"`  // allocated at most
}

// heap says what was seen, once close has returned.
func (m *memory) heap() Heap {
	quarter := max(len(m.live)/4, 1)
	return Heap{
		Start: round(Series(m.live[:quarter]).Median(), 1),
		End:   round(Series(m.live[len(m.live)-quarter:]).Median(), 1),
		Peak:  round(m.peak, 1),
	}
}
