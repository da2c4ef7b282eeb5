package acl

import (
	"errors"
	"sync"
)

// Refusals of a Gate.
var (
	ErrFull        = errors.New("too many connections")
	ErrAddressFull = errors.New("too many connections from one address")
)

// Gate counts connections. Its methods may be called from any goroutine.
type Gate struct {
	max, perAddress int

	mu    sync.Mutex
	total int            // guarded by mu
	from  map[string]int // guarded by mu; no zeros
}

// NewGate makes a gate for so many connections in all and per address; 0 means no limit.
func NewGate(limit, perAddress int) *Gate {
	return &Gate{max: limit, perAddress: perAddress, from: map[string]int{}}
}

// Enter lets a connection in, or returns ErrFull or ErrAddressFull. leave must be called when the connection is closed;
// calling it again does nothing.
func (g *Gate) Enter(address string) (leave func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.max > 0 && g.total >= g.max:
		return nil, ErrFull
	case g.perAddress > 0 && g.from[address] >= g.perAddress:
		return nil, ErrAddressFull
	}
	g.total++
	g.from[address]++
	return sync.OnceFunc(func() { g.leave(address) }), nil
}

func (g *Gate) leave(address string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total--
	if g.from[address]--; g.from[address] == 0 {
		delete(g.from, address)
	}
}

// Open tells how many connections are inside.
func (g *Gate) Open() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.total
}
