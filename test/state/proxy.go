package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// proxy is the network between one worker and the broker. It can be cut, in two ways: connections break and new ones are
// refused, or nothing arrives any more and everybody waits; what was under way then arrives when it is healed.
//
//	worker ─▶ forward ─▶ gate ─▶ broker
//	worker ◀─ gate ◀─ rewrite ◀─ back
//
// In answers it puts itself in the broker's place, so that the worker never goes past it. It is safe for concurrent use.
type proxy struct {
	broker string
	addr   string
	l      net.Listener
	group  sync.WaitGroup

	mu     sync.Mutex
	state  cutKind
	shut   atomic.Bool       // nobody new is let through, cut or not
	healed chan struct{}     // closed when the cut ends; GUARDED_BY(mu)
	conns  map[net.Conn]bool // GUARDED_BY(mu)
}

// cutKind is how the network is cut.
type cutKind string

const (
	whole  cutKind = ""       // it is not
	broken cutKind = "broken" // connections break, new ones are refused
	silent cutKind = "silent" // nothing arrives
	closed cutKind = "closed" // for good
)

func startProxy(broker string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // local, at once
	if err != nil {
		return nil, fmt.Errorf("start proxy: %w", err)
	}
	p := &proxy{broker: broker, addr: l.Addr().String(), l: l, healed: make(chan struct{}), conns: map[net.Conn]bool{}}
	close(p.healed)
	p.group.Go(p.accept)
	return p, nil
}

// cut cuts the network until heal.
func (p *proxy) cut(how cutKind) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == closed {
		return
	}
	p.state, p.healed = how, make(chan struct{})
	if how == broken {
		p.breakAll()
	}
}

func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == broken || p.state == silent {
		p.state = whole
		close(p.healed)
	}
}

// breakAll is called with mu held.
func (p *proxy) breakAll() {
	for c := range p.conns {
		_ = c.Close()
	}
}

// close lets nothing through any more, and returns when all connections have ended.
func (p *proxy) close() {
	p.heal()
	p.mu.Lock()
	p.state = closed
	p.breakAll()
	p.mu.Unlock()
	_ = p.l.Close()
	p.group.Wait()
}

func (p *proxy) accept() {
	for {
		down, err := p.l.Accept()
		if err != nil {
			return
		}
		p.group.Go(func() { p.connect(down) })
	}
}

// connect joins a connection of the worker with one to the broker.
func (p *proxy) connect(down net.Conn) {
	if p.pass() != nil {
		_ = down.Close()
		return
	}
	up, err := net.DialTimeout("tcp", p.broker, 5*time.Second) //nolint:noctx // bounded
	if err != nil {
		_ = down.Close()
		return
	}
	l := &link{p: p, up: up, down: down, asked: map[int32]head{}}
	p.mu.Lock()
	p.conns[up], p.conns[down] = true, true
	gone := p.state == closed || p.state == broken
	p.mu.Unlock()
	if gone {
		l.end()
	}
	p.group.Go(func() { defer l.end(); l.forward() })
	defer l.end()
	l.back()
}

// pass waits while nothing arrives. It fails where connections break.
func (p *proxy) pass() error {
	for {
		p.mu.Lock()
		state, healed := p.state, p.healed
		p.mu.Unlock()
		if p.shut.Load() {
			return errors.New("the broker comes up")
		}
		switch state {
		case whole:
			return nil
		case silent:
			<-healed
		default:
			return errors.New("the network is cut")
		}
	}
}

// link is one connection of the worker and its other half.
type link struct {
	p        *proxy
	up, down net.Conn

	mu    sync.Mutex
	asked map[int32]head // by correlation id; GUARDED_BY(mu)
}

// head is the beginning of a request.
type head struct {
	key         kmsg.Key
	version     int16
	correlation int32
}

func (l *link) end() {
	_, _ = l.up.Close(), l.down.Close()
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	delete(l.p.conns, l.up)
	delete(l.p.conns, l.down)
}

// forward takes requests to the broker until a connection ends.
func (l *link) forward() {
	for {
		frame, err := readFrame(l.down)
		if err != nil || len(frame) < 8 {
			return
		}
		h := head{kmsg.Key(binary.BigEndian.Uint16(frame)), int16(binary.BigEndian.Uint16(frame[2:])), int32(binary.BigEndian.Uint32(frame[4:]))}
		if names(h.key) {
			l.mu.Lock()
			l.asked[h.correlation] = h
			l.mu.Unlock()
		}
		if l.p.pass() != nil || writeFrame(l.up, frame) != nil {
			return
		}
	}
}

// back takes answers to the worker until a connection ends.
func (l *link) back() {
	for {
		frame, err := readFrame(l.up)
		if err != nil || len(frame) < 4 {
			return
		}
		id := int32(binary.BigEndian.Uint32(frame))
		l.mu.Lock()
		h, ok := l.asked[id]
		delete(l.asked, id)
		l.mu.Unlock()
		if ok {
			frame = l.p.rewrite(h, frame)
		}
		if l.p.pass() != nil || writeFrame(l.down, frame) != nil {
			return
		}
	}
}

// names says whether answers to a request tell where the broker is.
func names(key kmsg.Key) bool {
	return key == kmsg.Metadata || key == kmsg.FindCoordinator || key == kmsg.DescribeCluster
}

// rewrite puts the proxy in the broker's place. What cannot be read is for the client to complain about.
func (p *proxy) rewrite(h head, frame []byte) []byte {
	resp := kmsg.ResponseForKey(h.key.Int16())
	resp.SetVersion(h.version)
	start := 4
	if resp.IsFlexible() {
		start++ // no tags, as every broker has it here
	}
	if len(frame) < start || resp.ReadFrom(frame[start:]) != nil {
		return frame
	}
	p.move(resp)
	return resp.AppendTo(frame[:start:start])
}

func (p *proxy) move(resp kmsg.Response) {
	from, to := portOf(p.broker), portOf(p.addr)
	here := func(port *int32) {
		if *port == from {
			*port = to
		}
	}
	switch r := resp.(type) {
	case *kmsg.MetadataResponse:
		for i := range r.Brokers {
			here(&r.Brokers[i].Port)
		}
	case *kmsg.FindCoordinatorResponse:
		here(&r.Port)
		for i := range r.Coordinators {
			here(&r.Coordinators[i].Port)
		}
	case *kmsg.DescribeClusterResponse:
		for i := range r.Brokers {
			here(&r.Brokers[i].Port)
		}
	}
}

func portOf(addr string) int32 {
	_, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.ParseInt(port, 10, 32) // an address that was listened at
	return int32(n)
}

const frameMax = 128 << 20

func readFrame(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > frameMax {
		return nil, fmt.Errorf("read frame: %d bytes", n)
	}
	frame := make([]byte, n)
	_, err := io.ReadFull(r, frame)
	return frame, err
}

func writeFrame(w io.Writer, frame []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...))
	return err
}
