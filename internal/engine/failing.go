package engine

import (
	"sync"
	"time"
)

// failingFor is how long after its last failure a worker still counts as failing: longer than a pause, and than it may take
// until it comes to what it failed at again.
const failingFor = time.Minute

// Failing is a worker that begins again and again from the last commit.
type Failing struct {
	Worker int       `json:"worker"`
	Times  int       `json:"times"` // one after the other, no minute without one between them
	Last   time.Time `json:"last"`
	Error  string    `json:"error"`
}

// failing counts the failures of a worker.
type failing struct {
	mu   sync.Mutex
	last Failing // GUARDED_BY(mu)
}

func (f *failing) note(worker int, err error, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.last.Last) > failingFor {
		f.last.Times = 0
	}
	f.last = Failing{Worker: worker, Times: f.last.Times + 1, Last: now, Error: clip(err.Error(), 500)}
}

// look gives the failures if they seem to go on. One alone is nothing: brokers move, others take tasks over.
func (f *failing) look(now time.Time) (Failing, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last, f.last.Times > 2 && now.Sub(f.last.Last) <= failingFor
}
