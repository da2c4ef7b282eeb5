package server

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
)

// maxPipelined is how many requests of one connection may wait for their answers; the next is read when one is sent.
const maxPipelined = 64

// How long a client may take. A connection that asks nothing is closed by the setting connections.max.idle.ms; these
// bound what it has begun, since it holds memory that others wait for.
const (
	loginWithin = 30 * time.Second // each step of the login
	frameWithin = 30 * time.Second // to send a frame or take an answer, and longer for a large one:
	slowest     = 128 << 10        // bytes per second
)

// within is how long a transfer of so many bytes may take.
func within(bytes int) time.Duration {
	return frameWithin + time.Duration(bytes)*time.Second/slowest
}

// An answer completes a request: it waits for what the request needs (the disk, new records, other members) and returns
// the response, or nil when the client wants none. It is called once, in the order of the requests of a connection.
type answer func(ctx context.Context) kmsg.Response

// now is an answer that is there already.
func now(r kmsg.Response) answer { return func(context.Context) kmsg.Response { return r } }

// A conn is one connection: a reader that decodes and handles requests, and a writer that sends their answers in order.
type conn struct {
	s       *Server
	nc      net.Conn
	l       *Listener
	host    string
	session session              // who asks; touched by the reader only
	over    atomic.Pointer[debt] // the quota that this connection is over
	pending chan pending
	reading deadline // of the reader
	writing deadline // of the writer
}

// pending is a request that was handled and is not answered yet.
type pending struct {
	r      *request
	answer answer
	held   int    // bytes to give back to the server's budget
	frame  []byte // to be used again, if its kind is
	token  []byte // of an old login: sent as it is
}

func (s *Server) newConn(nc net.Conn, l *Listener) *conn {
	host, _, err := net.SplitHostPort(nc.RemoteAddr().String())
	if err != nil {
		host = nc.RemoteAddr().String()
	}
	return &conn{s: s, nc: nc, l: l, host: host, pending: make(chan pending, maxPipelined)}
}

// run serves the connection until it ends or ctx does.
func (c *conn) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	bare := c.nc // the handshake puts TLS over it
	defer bare.Close()
	defer context.AfterFunc(ctx, func() { bare.Close() })()
	if err := c.handshake(ctx); err != nil {
		c.s.log.Debug("connection refused", "client", c.nc.RemoteAddr(), "err", err)
		return
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		defer cancel()
		c.write(ctx)
	}()
	err := c.read(ctx)
	close(c.pending)
	if ctx.Err() == nil && !errors.Is(err, io.EOF) {
		c.s.log.Debug("connection closed", "client", c.nc.RemoteAddr(), "err", err)
	}
	if errors.Is(err, errFrame) || errors.Is(err, errVersion) {
		<-written // what was asked before is answered
	}
	cancel()
	<-written
}

// read handles requests until the connection ends.
func (c *conn) read(ctx context.Context) error {
	in := bufio.NewReaderSize(c.nc, 64<<10)
	for {
		if err := c.rest(ctx); err != nil {
			return err
		}
		if err := c.reading.extend(c.patience(), c.nc.SetReadDeadline); err != nil {
			return err
		}
		if err := c.next(ctx, in); err != nil {
			return err
		}
	}
}

// A deadline is one of the two of a connection. To set it costs about as much as to handle a small request, so one that is
// nearly right stays.
type deadline struct{ at time.Time }

func (d *deadline) extend(by time.Duration, set func(time.Time) error) error {
	at := time.Now().Add(by)
	if late := at.Sub(d.at); late >= 0 && late < by/16 {
		return nil
	}
	d.at = at
	return set(at)
}

// patience is how long the next request may be in coming.
func (c *conn) patience() time.Duration {
	idle := c.s.settings.broker().ConnectionIdleMax
	if c.stranger() {
		return min(idle, loginWithin)
	}
	return idle
}

// stranger says that the client has yet to log in.
func (c *conn) stranger() bool { return c.session.Admit(int16(kmsg.Metadata), time.Now()) != nil }

// next reads one frame and handles it.
func (c *conn) next(ctx context.Context, in *bufio.Reader) error {
	if c.session.Raw() {
		return c.token(ctx, in)
	}
	held := 0
	frame, err := readFrame(in, func(key int16, size int) ([]byte, error) {
		err := c.expect(ctx, key, size, &held)
		if err == nil && size > in.Buffered() {
			err = c.reading.extend(within(size), c.nc.SetReadDeadline)
		}
		if err != nil {
			return nil, err
		}
		return c.s.buffers.frame(key, size), nil
	})
	if err == nil {
		return c.accept(ctx, frame, held)
	}
	c.s.budget.give(held)
	return err
}

// expect decides whether a frame is read, when it is known what it claims to be. What a large one needs is taken from the
// budget before it is read, since a claim alone costs the client nothing.
func (c *conn) expect(ctx context.Context, key int16, size int, held *int) error {
	if limit := c.frameLimit(key); size > limit {
		return fmt.Errorf("%w: a frame of %d bytes, %s may have %d", errFrame, size, kmsg.NameForKey(key), limit)
	}
	if size > maxFirstFrame {
		if err := c.s.budget.take(ctx, size); err != nil {
			return err
		}
		*held = size
	}
	return nil
}

// token handles a login of the old kind, whose frames are bare tokens.
func (c *conn) token(ctx context.Context, in *bufio.Reader) error {
	token, err := readToken(in)
	if err != nil {
		return err
	}
	answer, err := c.session.Token(token, time.Now())
	if err != nil {
		return err
	}
	return c.queue(ctx, pending{token: answer})
}

// frameLimit bounds a frame by what it says it is, and by whether it is known who sends it.
func (c *conn) frameLimit(key int16) int {
	switch {
	case c.stranger():
		return maxFirstFrame
	case key == int16(kmsg.Produce):
		return c.s.settings.broker().RequestBytesMax
	}
	return maxSmallFrame
}

// accept decodes and handles one frame. A request that nobody knows ends the connection, as Kafka does, except that
// ApiVersions in an unknown version is told what there is. held is what the frame has of the budget already.
func (c *conn) accept(ctx context.Context, frame []byte, held int) error {
	r, body, err := c.s.open(frame)
	if errors.Is(err, errVersion) && r.key == int16(kmsg.ApiVersions) {
		c.s.budget.give(held)
		r.conn = c
		return c.queue(ctx, pending{r: r, answer: now(c.s.unsupportedApiVersions())})
	}
	if err == nil {
		held, err = c.s.budget.raise(ctx, held, max(r.bytes, r.memory))
	}
	if err != nil {
		c.s.budget.give(held)
		return err
	}
	r.conn, r.principal = c, c.session.Principal()
	a, err := c.s.work(ctx, r, body)
	if err != nil {
		c.s.budget.give(held)
		return err
	}
	return c.queue(ctx, pending{r: r, answer: a, held: held, frame: frame})
}

func (c *conn) queue(ctx context.Context, p pending) error {
	select {
	case c.pending <- p:
		return nil
	case <-ctx.Done():
		c.s.budget.give(p.held)
		return context.Cause(ctx)
	}
}

// write sends answers in order. After an error it goes on taking answers, unsent, so that what they wait for is let go.
func (c *conn) write(ctx context.Context) {
	var out outgoing
	var broken error
	for p := range c.pending {
		if p.r == nil {
			broken = errors.Join(broken, c.sendToken(p.token))
			continue
		}
		response, err := c.complete(ctx, p)
		broken = errors.Join(broken, err)
		c.s.budget.give(p.held)
		c.s.buffers.giveFrame(p)
		if response == nil || broken != nil {
			if broken != nil || p.r.last {
				c.nc.Close()
			}
			continue
		}
		broken = out.send(c, p.r, response)
		c.s.release(response)
		if o := p.r.owed; o != nil { // the time that the client was told begins when it is told
			c.debt(o.client, o.kind, o.wait)
		}
		if broken != nil || p.r.last {
			c.nc.Close()
		}
	}
}

// complete waits for an answer.
func (c *conn) complete(ctx context.Context, p pending) (response kmsg.Response, err error) {
	defer c.s.survive(p.r, &err)
	return p.answer(ctx), nil
}

// An outgoing is memory for answers that is used again for the next one.
type outgoing struct {
	whole []byte
	one   [1][]byte
	fetch fetchFrame
}

// keptAnswer is the largest memory of an answer that is kept for the next one.
const keptAnswer = 4 << 20

func (o *outgoing) send(c *conn, r *request, response kmsg.Response) error {
	if f, ok := plainFetch(response); ok {
		defer o.fetch.forget()
		return c.send(o.fetch.frame(r.correlation, f))
	}
	o.whole = appendAnswer(o.whole[:0], r, response)
	o.one[0] = o.whole
	if cap(o.whole) > keptAnswer {
		o.whole = nil
	}
	return c.send(o.one[:])
}

// send writes the pieces of an answer. A client that does not take it holds others up, so it loses its connection.
func (c *conn) send(pieces net.Buffers) error {
	size := 0
	for _, p := range pieces {
		size += len(p)
	}
	if err := c.writing.extend(within(size), c.nc.SetWriteDeadline); err != nil {
		return err
	}
	_, err := pieces.WriteTo(c.nc)
	return err
}

func (c *conn) sendToken(token []byte) error {
	return c.send(net.Buffers{append(binary.BigEndian.AppendUint32(nil, uint32(len(token))), token...)})
}

// A debt is what a client owes a quota.
type debt struct {
	client acl.Client
	kind   acl.QuotaKind
	wait   time.Duration
	until  time.Time
}

// debt lets nothing be read for a while. Of two debts the longer one counts.
func (c *conn) debt(client acl.Client, kind acl.QuotaKind, wait time.Duration) {
	owed := &debt{client: client, kind: kind, wait: wait, until: time.Now().Add(wait)}
	for {
		was := c.over.Load()
		if was != nil && was.until.After(owed.until) || c.over.CompareAndSwap(was, owed) {
			return
		}
	}
}

// rest waits until this connection owes no quota anything: one throttle time may be too short for all of it.
func (c *conn) rest(ctx context.Context) error {
	for {
		owed := c.over.Load()
		if owed == nil {
			return nil
		}
		if !sleep(ctx, time.Until(owed.until)) {
			return context.Cause(ctx)
		}
		if c.over.CompareAndSwap(owed, nil) {
			if wait := c.s.security.state.Quotas.Charge(owed.client, owed.kind, 0, time.Now()); wait > 0 {
				c.debt(owed.client, owed.kind, wait)
			}
		}
	}
}
