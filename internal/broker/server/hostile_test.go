package server

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A wire is a connection that says whatever a test wants to.
type wire struct {
	t  *testing.T
	nc net.Conn
	in *bufio.Reader
}

func dialWire(t *testing.T, addr string, secret ...*tls.Config) *wire {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if len(secret) > 0 {
		c := secret[0].Clone()
		c.ServerName = "127.0.0.1"
		nc = tls.Client(nc, c)
	}
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &wire{t: t, nc: nc, in: bufio.NewReader(nc)}
}

// send sends bytes; a connection that was closed meanwhile is noticed when reading.
func (w *wire) send(b []byte) { _, _ = w.nc.Write(b) }

func (w *wire) sendFrame(b []byte) { w.send(framed(b)) }

func (w *wire) readFrame() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(w.in, head[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err := io.ReadFull(w.in, b)
	return b, err
}

// ask sends a request in the version that it has and reads its answer.
func (w *wire) ask(r kmsg.Request) (kmsg.Response, error) {
	w.sendFrame(frameOf(r))
	return w.answer(r)
}

func (w *wire) answer(r kmsg.Request) (kmsg.Response, error) {
	b, err := w.readFrame()
	if err != nil {
		return nil, err
	}
	response := r.ResponseKind()
	b = b[4:]
	if response.IsFlexible() && r.Key() != int16(kmsg.ApiVersions) {
		b = b[1:]
	}
	return response, response.ReadFrom(b)
}

// closed says whether the other side hangs up within a time without a word.
func (w *wire) closed(in time.Duration) bool {
	if err := w.nc.SetReadDeadline(time.Now().Add(in)); err != nil {
		return true
	}
	_, err := w.in.ReadByte()
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}
