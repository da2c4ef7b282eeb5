package proof

import (
	"fmt"
	"sync"
)

// Findings are the first few of each kind of what is wrong, for whoever has to explain them. The zero value is ready.
type Findings struct {
	mu    sync.Mutex
	lines []string       // GUARDED_BY(mu)
	kinds map[string]int // GUARDED_BY(mu); by format
}

// OfAKind is how many findings of one format are kept.
const OfAKind = 5

// Note keeps a finding. Those of one format are of one kind.
func (f *Findings) Note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kinds == nil {
		f.kinds = map[string]int{}
	}
	if f.kinds[format]++; f.kinds[format] <= OfAKind {
		f.lines = append(f.lines, fmt.Sprintf(format, args...))
	}
}

// First returns what was kept, in the order in which it was found.
func (f *Findings) First() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.lines...)
}
