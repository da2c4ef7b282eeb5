package main

import (
	"fmt"
	"sync"
)

// findings are the first few of each kind of what is wrong, for whoever has to explain them. It is safe for concurrent use.
type findings struct {
	mu    sync.Mutex
	lines []string       // GUARDED_BY(mu)
	kinds map[string]int // GUARDED_BY(mu); by format
}

const findingsOfAKind = 5

func (f *findings) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kinds == nil {
		f.kinds = map[string]int{}
	}
	if f.kinds[format]++; f.kinds[format] <= findingsOfAKind {
		f.lines = append(f.lines, fmt.Sprintf(format, args...))
	}
}

// first returns what was kept, in the order in which it was found.
func (f *findings) first() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.lines...)
}
