package kafkatest

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// conn is one connection to the broker, without retries and without a memory of what brokers do.
type conn struct {
	net.Conn
	client      string          // how it calls itself
	versions    map[int16]int16 // the highest the broker knows
	correlation int32
}

// newest holds requests below the versions in which topics have only an id, so that most cases can go by names.
var newest = map[kmsg.Key]int16{kmsg.Produce: 12, kmsg.Fetch: 12, kmsg.OffsetCommit: 9, kmsg.OffsetFetch: 9, kmsg.TxnOffsetCommit: 5}

// dial opens a connection.
func (t *T) dial() *conn {
	t.Helper()
	c, err := dial(t.ctx, t.target.Seed)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func dial(ctx context.Context, addr string) (*conn, error) {
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, client: "kafkatest", versions: map[int16]int16{}}
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version = 3
	req.ClientSoftwareName, req.ClientSoftwareVersion = "kafkatest", "1"
	res, err := c.exchange(ctx, req)
	if err != nil {
		raw.Close()
		return nil, err
	}
	for _, key := range res.(*kmsg.ApiVersionsResponse).ApiKeys {
		c.versions[key.ApiKey] = key.MaxVersion
	}
	return c, nil
}

// Request sends a request in the newest version that both sides know, and returns the answer.
func (c *conn) Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	highest, known := c.versions[req.Key()]
	if !known {
		return nil, fmt.Errorf("the broker does not know %s", kmsg.NameForKey(req.Key()))
	}
	version := min(req.MaxVersion(), highest)
	if pin, pinned := newest[kmsg.Key(req.Key())]; pinned {
		version = min(version, pin)
	}
	req.SetVersion(version)
	return c.exchange(ctx, req)
}

// exchange sends a request as it is and returns the answer.
func (c *conn) exchange(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	if err := c.send(ctx, req); err != nil {
		return nil, err
	}
	return c.receive(req)
}

func (c *conn) send(ctx context.Context, req kmsg.Request) error {
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(deadline); err != nil {
			return err
		}
	}
	c.correlation++
	_, err := c.Write(kmsg.NewRequestFormatter(kmsg.FormatterClientID(c.client)).AppendRequest(nil, req, c.correlation))
	return err
}

func (c *conn) receive(req kmsg.Request) (kmsg.Response, error) {
	body, err := c.frame()
	if err != nil {
		return nil, fmt.Errorf("answer to %s v%d: %w", kmsg.NameForKey(req.Key()), req.GetVersion(), err)
	}
	if len(body) < 4 || int32(binary.BigEndian.Uint32(body)) != c.correlation {
		return nil, fmt.Errorf("answer to %s v%d: another one's", kmsg.NameForKey(req.Key()), req.GetVersion())
	}
	body = body[4:]
	if req.IsFlexible() && kmsg.Key(req.Key()) != kmsg.ApiVersions && len(body) > 0 {
		body = body[1:] // no tags in the header
	}
	res := req.ResponseKind()
	if err := res.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("answer to %s v%d: %w", kmsg.NameForKey(req.Key()), req.GetVersion(), err)
	}
	return res, nil
}

// frame reads one frame without its length.
func (c *conn) frame() ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > 1<<26 {
		return nil, fmt.Errorf("a frame of %d bytes", n)
	}
	body := make([]byte, n)
	_, err := io.ReadFull(c, body)
	return body, err
}

// fixed sends requests in one version.
type fixed struct {
	conn    *conn
	version int16
}

func (f fixed) Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	req.SetVersion(f.version)
	return f.conn.exchange(ctx, req)
}

// at sends requests in one version, over the case's own connection.
func (t *T) at(version int16) kmsg.Requestor { return fixed{t.wire(), version} }

// wire is the case's own connection.
func (t *T) wire() *conn {
	t.Helper()
	if t.conn == nil {
		t.conn = t.dial()
	}
	return t.conn
}

// ask sends a request (its RequestWith) over the case's own connection.
func ask[R any](t *T, call func(context.Context, kmsg.Requestor) (R, error)) R {
	t.Helper()
	return askOn(t, t.wire(), call)
}

// askOn sends a request over a given connection or client.
func askOn[R any](t *T, to kmsg.Requestor, call func(context.Context, kmsg.Requestor) (R, error)) R {
	t.Helper()
	res, err := call(t.ctx, to)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return res
}

// want compares an error code with what is expected; nil is no error.
func (t *T) want(what string, code int16, allowed ...*kerr.Error) {
	t.Helper()
	for _, want := range allowed {
		if code == codeOf(want) {
			return
		}
	}
	t.Fatalf("%s: got %s, want %v", what, named(code), allowed)
}

// ok ends the case unless the code is that of no error.
func (t *T) ok(what string, code int16) {
	t.Helper()
	if code != 0 {
		t.Fatalf("%s: got %s, want no error", what, named(code))
	}
}

func codeOf(err *kerr.Error) int16 {
	if err == nil {
		return 0
	}
	return err.Code
}

func named(code int16) string {
	if err := kerr.TypedErrorForCode(code); err != nil {
		return err.Message
	}
	return "no error"
}

// equal compares what was found with what is expected.
func equal[V comparable](t *T, what string, got, want V) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}
