package server

import "sync"

// waiting is the set of fetches that wait for a partition to grow.
type waiting struct {
	mu  sync.Mutex
	set map[chan struct{}]struct{} // GUARDED_BY(mu)
}

// add registers a fetch. Its channel holds one signal; a second one is not needed.
func (w *waiting) add(c chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.set == nil {
		w.set = map[chan struct{}]struct{}{}
	}
	w.set[c] = struct{}{}
}

func (w *waiting) remove(c chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.set, c)
}

func (w *waiting) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.set {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
