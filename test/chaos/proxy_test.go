package chaos_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// proxy stands between one worker and its brokers, one listener for each. It lets everything through but the frames it
// was told to catch, and in answers it puts itself in the brokers' place, so that the worker never goes past it.
//
//	worker ─▶ forward: request ─▶ catch? ─▶ broker
//	worker ◀─ back: rewrite ◀─ catch? ◀─ answer
//
// A caught frame keeps back what comes after it on its connection. It is safe for concurrent use.
type proxy struct {
	listeners []net.Listener
	ports     map[int32]int32 // where a broker's port is on this side
	done      chan struct{}
	group     sync.WaitGroup
	seen      atomic.Int32 // the newest version of an EndTxn that went through

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

func startProxy(brokers []string) (*proxy, error) {
	p := &proxy{ports: map[int32]int32{}, done: make(chan struct{}), conns: map[net.Conn]bool{}}
	for _, b := range brokers {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // ends at once
		if err != nil {
			return nil, errors.Join(fmt.Errorf("start proxy: %w", err), p.close())
		}
		p.listeners = append(p.listeners, l)
		p.ports[portOf(b)] = portOf(l.Addr().String())
	}
	for i, l := range p.listeners {
		p.group.Go(func() { p.accept(l, brokers[i]) })
	}
	return p, nil
}

func portOf(addr string) int32 {
	_, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port) // an address of a listener
	return int32(n)
}

func (p *proxy) addrs() (list []string) {
	for _, l := range p.listeners {
		list = append(list, l.Addr().String())
	}
	return list
}

// close lets nothing through any more, and returns when all connections have ended.
func (p *proxy) close() (err error) {
	close(p.done)
	for _, l := range p.listeners {
		err = errors.Join(err, l.Close())
	}
	p.cut()
	p.group.Wait()
	return err
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

func (p *proxy) accept(l net.Listener, broker string) {
	for {
		down, err := l.Accept()
		if err != nil {
			return
		}
		up, err := new(net.Dialer).DialContext(context.Background(), "tcp", broker)
		if err != nil {
			_ = down.Close() // as if we were the broker that is not there
			continue
		}
		p.serve(&link{p: p, up: up, down: down, broker: broker, asked: map[int32]head{}})
	}
}

// link is one connection of the worker and its other half.
type link struct {
	p        *proxy
	up, down net.Conn
	broker   string

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

// pass says whether a frame may go on, after as long as its catch wants.
func (l *link) pass(key kmsg.Key, s side, frame []byte) bool {
	c := l.p.take(key, s)
	if c == nil {
		return true
	}
	c.frame, c.to = append([]byte(nil), frame...), l.broker
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
