package chaos_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// proxy stands between one worker and its brokers, one listener for each. It lets everything through but the frames it
// was told to catch, and in answers it puts itself in the brokers' place, so that the worker never goes past it.
//
//	worker ─▶ forward: request ─▶ catch? ─▶ broker
//	worker ◀─ back: rewrite ◀─ catch? ◀─ answer
//
// A caught frame keeps back what comes after it on its connection. While a broker is gone its gate is shut, so that the
// worker is refused as the broker would refuse it. It is safe for concurrent use.
type proxy struct {
	gates []*gate
	ports map[int32]int32 // where a broker's port is on this side
	done  chan struct{}
	group sync.WaitGroup
	seen  atomic.Int32 // the newest version of an EndTxn that went through

	mu      sync.Mutex
	catches []*catch          // GUARDED_BY(mu)
	conns   map[net.Conn]bool // GUARDED_BY(mu)
}

type side uint8

const (
	request side = iota
	answer
)

// catch waits for one frame. Who holds it decides once: release it, or cut the connection; a cut request never arrives,
// a cut answer is never heard.
type catch struct {
	key    kmsg.Key
	side   side
	caught chan struct{}
	decide chan bool // true lets it through
	frame  []byte    // without its length; read after caught
	to     string    // the broker; read after caught
}

// gate is where the worker finds one broker.
type gate struct {
	broker string
	addr   string

	mu sync.Mutex
	l  net.Listener // GUARDED_BY(mu)
}

func startProxy(brokers []string) (*proxy, error) {
	p := &proxy{ports: map[int32]int32{}, done: make(chan struct{}), conns: map[net.Conn]bool{}}
	for _, b := range brokers {
		g := &gate{broker: b, addr: "127.0.0.1:0"}
		l, err := g.open()
		if err != nil {
			p.close()
			return nil, fmt.Errorf("start proxy: %w", err)
		}
		g.addr = l.Addr().String()
		p.ports[portOf(b)] = portOf(g.addr)
		p.gates = append(p.gates, g)
		p.group.Go(func() { p.keep(g, l) })
	}
	return p, nil
}

func (g *gate) open() (net.Listener, error) {
	l, err := net.Listen("tcp", g.addr)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.l = l
	return l, nil
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	_ = g.l.Close() // shut already is as good
}

// keep lets connections in at a gate, and opens it again when its broker is back.
func (p *proxy) keep(g *gate, l net.Listener) {
	for {
		p.accept(g, l)
		for l = nil; l == nil; l = p.reopen(g) {
			select {
			case <-p.done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
}

// reopen opens a gate if its broker is there.
func (p *proxy) reopen(g *gate) net.Listener {
	up, err := dial(g.broker)
	if err != nil {
		return nil
	}
	_ = up.Close() // it was only to see
	l, err := g.open()
	if err != nil {
		return nil // the port comes free
	}
	select {
	case <-p.done: // close has passed this gate
		g.shut()
		return nil
	default:
		return l
	}
}

func dial(addr string) (net.Conn, error) { return net.DialTimeout("tcp", addr, 5*time.Second) }

func portOf(addr string) int32 {
	_, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port) // an address of a listener
	return int32(n)
}

func (p *proxy) addrs() (list []string) {
	for _, g := range p.gates {
		list = append(list, g.addr)
	}
	return list
}

// close lets nothing through any more, and returns when all connections have ended.
func (p *proxy) close() {
	close(p.done)
	for _, g := range p.gates {
		g.shut()
	}
	p.cut()
	p.group.Wait()
}

// cut ends all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

// catch keeps back the next frame of a kind.
func (p *proxy) catch(key kmsg.Key, s side) *catch {
	c := &catch{key: key, side: s, caught: make(chan struct{}), decide: make(chan bool, 1)}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.catches = append(p.catches, c)
	return c
}

func (c *catch) await(ctx context.Context) error {
	select {
	case <-c.caught:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for %s to catch: %w", c.key.Name(), ctx.Err())
	}
}

func (c *catch) release() { c.decide <- true }
func (c *catch) cut()     { c.decide <- false }

// deliver sends a caught request to its broker after all, over a connection of its own, and returns the answer without
// its header. It arrives as it would have if the network had kept it.
func (c *catch) deliver(ctx context.Context) (kmsg.Response, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.to)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := writeFrame(conn, c.frame); err != nil {
		return nil, err
	}
	back, err := readFrame(conn)
	if err != nil {
		return nil, err
	}
	return decodeAnswer(headOf(c.frame), back)
}

func (p *proxy) accept(g *gate, l net.Listener) {
	for {
		down, err := l.Accept()
		if err != nil {
			return
		}
		up, err := dial(g.broker)
		if err != nil {
			g.shut()
			_ = down.Close() // as if we were the broker that is not there
			continue
		}
		p.serve(&link{p: p, gate: g, up: up, down: down, asked: map[int32]head{}})
	}
}

// link is one connection of the worker and its other half.
type link struct {
	p        *proxy
	gate     *gate
	up, down net.Conn

	mu    sync.Mutex
	asked map[int32]head // by correlation id; GUARDED_BY(mu)
}

func (p *proxy) serve(l *link) {
	p.mu.Lock()
	p.conns[l.up], p.conns[l.down] = true, true
	p.mu.Unlock()
	select {
	case <-p.done: // it was closed while we dialled
		p.cut()
	default:
	}
	end := func() {
		_, _ = l.up.Close(), l.down.Close()
		p.mu.Lock()
		delete(p.conns, l.up)
		delete(p.conns, l.down)
		p.mu.Unlock()
	}
	p.group.Go(func() { defer end(); l.forward() })
	p.group.Go(func() { defer end(); l.back() })
}

// forward takes requests to the broker until a connection ends.
func (l *link) forward() {
	for {
		frame, err := readFrame(l.down)
		if err != nil || len(frame) < headSize {
			return
		}
		h := headOf(frame)
		l.mu.Lock()
		l.asked[h.correlation] = h
		l.mu.Unlock()
		if h.key == kmsg.EndTxn {
			l.p.seen.Store(int32(h.version))
		}
		if !l.pass(h.key, request, frame) || writeFrame(l.up, frame) != nil {
			return
		}
	}
}

// back takes answers to the worker until a connection ends.
func (l *link) back() {
	for {
		frame, err := readFrame(l.up)
		if err != nil || len(frame) < 4 {
			l.probe()
			return
		}
		l.mu.Lock()
		h, ok := l.asked[int32(binary.BigEndian.Uint32(frame))]
		delete(l.asked, h.correlation)
		l.mu.Unlock()
		if !ok || !l.pass(h.key, answer, frame) || writeFrame(l.down, l.p.rewrite(h, frame)) != nil {
			return
		}
	}
}

// probe shuts the gate if the broker is gone, before the worker notices.
func (l *link) probe() {
	up, err := dial(l.gate.broker)
	if err != nil {
		l.gate.shut()
		return
	}
	_ = up.Close() // it was only to see
}

// pass says whether a frame may go on, after as long as its catch wants.
func (l *link) pass(key kmsg.Key, s side, frame []byte) bool {
	c := l.p.take(key, s)
	if c == nil {
		return true
	}
	c.frame, c.to = append([]byte(nil), frame...), l.gate.broker
	close(c.caught)
	select {
	case through := <-c.decide:
		return through
	case <-l.p.done:
		return false
	}
}

func (p *proxy) take(key kmsg.Key, s side) *catch {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, c := range p.catches {
		if c.key == key && c.side == s {
			p.catches = append(p.catches[:i:i], p.catches[i+1:]...)
			return c
		}
	}
	return nil
}

// head is the beginning of a request.
type head struct {
	key         kmsg.Key
	version     int16
	correlation int32
}

const headSize = 8

func headOf(frame []byte) head {
	return head{
		key: kmsg.Key(binary.BigEndian.Uint16(frame)), version: int16(binary.BigEndian.Uint16(frame[2:])),
		correlation: int32(binary.BigEndian.Uint32(frame[4:])),
	}
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
