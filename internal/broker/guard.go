package broker

import (
	"encoding/binary"
	"errors"
	"io"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// frameBytesMax is the largest request that is read; Kafka's own default.
const frameBytesMax = 100 << 20

// metadataBytesMax is the largest metadata request that is looked into.
const metadataBytesMax = 1 << 20

// headBytes is what the guard looks at: four bytes of length, two of API key, two of version.
const headBytes = 8

// guard keeps requests away from the broker that it would take badly: an unknown API key ends the whole process, and
// the length in front of a request is the size of the memory set aside for it, so that an HTTP request on this port
// would take 1.3 GB. Such a connection is closed. Metadata requests are shown to first before they go on, fetch requests
// are rewritten as spread says.
func guard(ln net.Listener, first func(frame []byte)) net.Listener { return guardedListener{ln, first} }

type guardedListener struct {
	net.Listener
	first func(frame []byte)
}

func (l guardedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &guardedConn{Conn: conn, first: l.first}, nil
}

// guardedConn follows the frames of a connection. It reads no more often than a reader of plain frames would: the head
// takes the place of the reader's own read of the length.
type guardedConn struct {
	net.Conn
	first   func(frame []byte)
	head    [headBytes]byte
	pending []byte // checked and not yet given out
	rest    int    // bytes of the frame that are still to be read
}

var errFrame = errors.New("not a Kafka request")

// Read gives out what was checked, never more than the rest of one frame.
func (c *guardedConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(c.pending) == 0 && c.rest == 0 {
		if err := c.begin(); err != nil {
			return 0, err
		}
	}
	if len(c.pending) > 0 {
		n := copy(p, c.pending)
		c.pending = c.pending[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p[:min(len(p), c.rest)])
	c.rest -= n
	return n, err
}

func (c *guardedConn) begin() error {
	if _, err := io.ReadFull(c.Conn, c.head[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(c.head[:4])
	key := int16(binary.BigEndian.Uint16(c.head[4:6]))
	// The shortest head of a request is eight bytes beside the length.
	if size < 8 || size > frameBytesMax || kmsg.RequestForKey(key) == nil {
		return errFrame
	}
	c.pending = c.head[:]
	c.rest = int(size) - (headBytes - 4)
	switch {
	case kmsg.Key(key) == kmsg.Metadata && size <= metadataBytesMax:
		return c.show()
	case kmsg.Key(key) == kmsg.Fetch && size <= fetchBytesMax:
		return c.rewrite()
	}
	return nil
}

// show reads the whole frame and shows it before it goes on.
func (c *guardedConn) show() error {
	frame, err := c.whole()
	if err != nil {
		return err
	}
	c.pending = frame
	c.first(frame[4:])
	return nil
}

// rewrite reads a whole fetch request and passes on what the cluster answers right.
func (c *guardedConn) rewrite() error {
	frame, err := c.whole()
	if err != nil {
		return err
	}
	c.pending = spread(frame)
	return nil
}

// whole reads the rest of the frame that has begun.
func (c *guardedConn) whole() ([]byte, error) {
	frame := make([]byte, headBytes+c.rest)
	copy(frame, c.head[:])
	if _, err := io.ReadFull(c.Conn, frame[headBytes:]); err != nil {
		return nil, err
	}
	c.rest = 0
	return frame, nil
}
