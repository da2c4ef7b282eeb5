package kafkatest

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// frameCases are requests no client should send. The broker may answer with an error or hang up, and must live on.
func frameCases() []testCase {
	return []testCase{
		{"an unknown API key ends the connection, not the broker", frameUnknownKey},
		{"a negative API key ends the connection, not the broker", frameNegativeKey},
		{"an unsupported version ends the connection, not the broker", frameUnsupportedVersion},
		{"a negative version ends the connection, not the broker", frameNegativeVersion},
		{"ApiVersions of an unsupported version is answered in version 0", frameApiVersionsUnsupported},
		{"ApiVersions of version 0 is answered", frameApiVersionsOldest},
		{"ApiVersions names the finished feature of transactions", frameFeatures},
		{"a frame of garbage ends the connection", frameGarbage},
		{"a negative length ends the connection", frameNegativeLength},
		{"a length of 2 GiB ends the connection", frameHugeLength},
		{"an empty frame ends the connection", frameEmpty},
		{"a header without a body ends the connection", frameTruncated},
		{"an array longer than its frame ends the connection", frameLongArray},
		{"a frame that is never finished does not hold up others", frameUnfinished},
		{"requests of one connection are answered in order", framePipelined},
		{"a request of another protocol ends the connection", frameHTTP},
	}
}

// header is the first version of a request's header.
func header(key, version int16) []byte {
	raw := binary.BigEndian.AppendUint16(nil, uint16(key))
	raw = binary.BigEndian.AppendUint16(raw, uint16(version))
	raw = binary.BigEndian.AppendUint32(raw, 7)
	return append(raw, 0xff, 0xff) // no client id
}

func framed(body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// refused sends bytes over a connection of their own, expects that the broker hangs up, and that it still works.
func (t *T) refused(raw []byte) {
	t.Helper()
	c := t.dial()
	if _, err := c.Write(raw); err != nil {
		t.Fatalf("send: %v", err)
	}
	c.wantHangUp(t)
	t.alive()
}

// wantHangUp expects that the broker closes the connection, at once.
func (c *conn) wantHangUp(t *T) {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatalf("%v", err)
	}
	if _, err := c.frame(); !hungUp(err) {
		t.Fatalf("the broker answered or waits: %v", err)
	}
}

func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// alive asks for something over a new connection.
func (t *T) alive() {
	t.Helper()
	askOn(t, t.dial(), kmsg.NewPtrMetadataRequest().RequestWith)
}

func frameUnknownKey(t *T)         { t.refused(framed(header(999, 0))) }
func frameNegativeKey(t *T)        { t.refused(framed(header(-5, 0))) }
func frameUnsupportedVersion(t *T) { t.refused(framed(header(int16(kmsg.Metadata), 99))) }
func frameNegativeVersion(t *T)    { t.refused(framed(header(int16(kmsg.Metadata), -1))) }
func frameNegativeLength(t *T)     { t.refused([]byte{0xff, 0xff, 0xff, 0xf0, 0, 3, 0, 0}) }
func frameHugeLength(t *T)         { t.refused([]byte{0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0}) }
func frameEmpty(t *T)              { t.refused([]byte{0, 0, 0, 0}) }
func frameTruncated(t *T)          { t.refused(framed(header(int16(kmsg.Produce), 3))) }
func frameHTTP(t *T)               { t.refused([]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")) }

func frameGarbage(t *T) {
	raw := make([]byte, 300)
	for i := range raw {
		raw[i] = byte(i*7 + 129)
	}
	t.refused(framed(raw))
}

func frameLongArray(t *T) {
	t.refused(framed(append(header(int16(kmsg.Metadata), 1), 0x7f, 0xff, 0xff, 0xff)))
}

func frameUnfinished(t *T) {
	c := t.dial()
	if _, err := c.Write([]byte{0, 0, 1, 0, 0, 3}); err != nil {
		t.Fatalf("send: %v", err)
	}
	t.alive()
}

func frameApiVersionsUnsupported(t *T) {
	c := t.dial()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatalf("%v", err)
	}
	if _, err := c.Write(framed(append(header(int16(kmsg.ApiVersions), 99), 0))); err != nil {
		t.Fatalf("send: %v", err)
	}
	body, err := c.frame()
	if err != nil || len(body) < 4 {
		t.Fatalf("no answer: %v", err)
	}
	res := kmsg.NewPtrApiVersionsResponse()
	if err := res.ReadFrom(body[4:]); err != nil {
		t.Fatalf("the answer is not of version 0: %v", err)
	}
	t.want("ApiVersions", res.ErrorCode, kerr.UnsupportedVersion)
}

func frameApiVersionsOldest(t *T) {
	res := askOn(t, t.at(0), kmsg.NewPtrApiVersionsRequest().RequestWith)
	t.ok("ApiVersions", res.ErrorCode)
	if len(res.ApiKeys) < 30 {
		t.Fatalf("only %d requests are known", len(res.ApiKeys))
	}
}

func frameFeatures(t *T) {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "kafkatest", "1"
	for _, f := range askOn(t, t.at(3), req.RequestWith).FinalizedFeatures {
		if f.Name == "transaction.version" {
			equal(t, "level", f.MaxVersionLevel, 2)
			return
		}
	}
	t.Fatalf("transaction.version is not finished")
}

func framePipelined(t *T) {
	c := t.dial()
	const n = 20
	var sent []*kmsg.MetadataRequest
	for range n {
		req := kmsg.NewPtrMetadataRequest()
		req.Version = 9
		if err := c.send(t.ctx, req); err != nil {
			t.Fatalf("send: %v", err)
		}
		sent = append(sent, req)
	}
	c.correlation -= n
	for i, req := range sent {
		c.correlation++
		if _, err := c.receive(req); err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
	}
}

// quiet tells whether nothing comes within a moment; a connection that was closed is not quiet.
func quiet(c net.Conn) bool {
	if c.SetReadDeadline(time.Now().Add(300*time.Millisecond)) != nil {
		return false
	}
	var one [1]byte
	_, err := c.Read(one[:])
	return errors.Is(err, os.ErrDeadlineExceeded)
}
