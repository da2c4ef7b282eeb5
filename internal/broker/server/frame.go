package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
)

// Frames of a connection are bounded before they are read, since the length is what a stranger says. Only produce
// requests carry much.
const (
	maxFirstFrame = 64 << 10 // until it is known who asks
	maxSmallFrame = 8 << 20  // everything but produce
	headerPeek    = 4        // key and version come first, and tell the bound
)

// A request is one request of a connection.
type request struct {
	conn        *conn
	key         int16
	version     int16
	correlation int32
	client      string // client id; empty if it has none
	body        kmsg.Request
	bytes       int // size of its frame
	memory      int // that its lists take
	principal   acl.Principal
	last        bool  // the connection is closed after the answer
	owed        *debt // the quota that this request went over
}

// errFrame is a frame that cannot be Kafka's protocol; the connection is closed.
var errFrame = errors.New("not a Kafka request")

// errVersion is a request that this broker does not know, or not in that version.
var errVersion = errors.New("unsupported request")

// readFrame reads one frame into the memory that expect gives for it, or refuses, when its beginning tells what it is.
func readFrame(r io.Reader, expect func(key int16, size int) ([]byte, error)) ([]byte, error) {
	var head [4 + headerPeek]byte
	if _, err := io.ReadFull(r, head[:4]); err != nil {
		return nil, err
	}
	size := int(int32(binary.BigEndian.Uint32(head[:])))
	if size < 8 {
		return nil, fmt.Errorf("%w: a frame of %d bytes", errFrame, size)
	}
	if _, err := io.ReadFull(r, head[4:]); err != nil {
		return nil, err
	}
	frame, err := expect(int16(binary.BigEndian.Uint16(head[4:])), size)
	if err != nil {
		return nil, err
	}
	copy(frame, head[4:])
	_, err = io.ReadFull(r, frame[headerPeek:])
	return frame, err
}

// readToken reads one bare token of a login.
func readToken(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := int(int32(binary.BigEndian.Uint32(head[:])))
	if size < 0 || size > maxFirstFrame {
		return nil, fmt.Errorf("%w: a token of %d bytes", errFrame, size)
	}
	token := make([]byte, size)
	_, err := io.ReadFull(r, token)
	return token, err
}

// open reads the header of a frame and looks over its body. For an unknown version it comes back with errVersion.
func (s *Server) open(frame []byte) (r *request, body []byte, err error) {
	b := kbin.Reader{Src: frame}
	r = &request{key: b.Int16(), version: b.Int16(), correlation: b.Int32(), bytes: len(frame)}
	if id := b.NullableString(); id != nil {
		r.client = *id
	}
	if !b.Ok() {
		return nil, nil, fmt.Errorf("%w: a torn header", errFrame)
	}
	api, known := s.apis[r.key]
	if !known {
		return r, nil, errVersion
	}
	if r.version < api.min || r.version > api.max {
		return r, nil, errVersion
	}
	r.body = kmsg.RequestForKey(r.key)
	r.body.SetVersion(r.version)
	if r.body.IsFlexible() && !skipTags(&b) {
		return nil, nil, fmt.Errorf("%w: a torn header", errFrame)
	}
	memory, ok := api.layouts[r.version]().walk(b.Src)
	if !ok {
		return nil, nil, fmt.Errorf("%w: %s version %d: %w", errFrame, kmsg.NameForKey(r.key), r.version, errTorn)
	}
	r.memory = memory
	return r, b.Src, nil
}

// decode reads the body of a request that was looked over.
func (r *request) decode(body []byte) error {
	if err := r.body.ReadFrom(body); err != nil {
		return fmt.Errorf("%w: %s version %d: %w", errFrame, kmsg.NameForKey(r.key), r.version, err)
	}
	return nil
}

var errTorn = errors.New("cut off, or it claims more than it has")

// skipTags passes over tags that nobody here knows. Each takes two bytes at least.
func skipTags(b *kbin.Reader) bool {
	for n := b.Uvarint(); n > 0 && b.Ok(); n-- {
		b.Uvarint()
		b.Span(int(b.Uvarint()))
	}
	return b.Ok()
}

// appendAnswer appends a frame with the answer to r.
func appendAnswer(dst []byte, r *request, answer kmsg.Response) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(r.correlation))
	// The answer to ApiVersions has the old header in every version: whoever asks does not know yet what we speak.
	if answer.IsFlexible() && answer.Key() != int16(kmsg.ApiVersions) {
		dst = append(dst, 0)
	}
	dst = answer.AppendTo(dst)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}
