package supervise

import (
	"fmt"
	"net"
	"sync"
)

// ports gives out free loopback ports, never one that a process of ours has. Between our look and the process's bind
// another program may take the port: then the process fails, and its next start gets another one.
type ports struct {
	mu    sync.Mutex
	given map[int]bool
}

func (p *ports) take() (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range 100 {
		port, err := freePort()
		if err != nil {
			return 0, fmt.Errorf("find a free port: %w", err)
		}
		if !p.given[port] {
			if p.given == nil {
				p.given = map[int]bool{}
			}
			p.given[port] = true
			return port, nil
		}
	}
	return 0, fmt.Errorf("find a free port: all that the system offered are in use")
}

func (p *ports) give(port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.given, port)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // taking a free port does not wait
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
