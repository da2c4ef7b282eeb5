package server

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"runtime/metrics"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/broker/disk"
)

// A victim is a server that is given hostile requests. It is made anew from time to time, so that what they leave behind
// does not slow the next ones down.
type victim struct {
	mu     sync.Mutex
	s      *Server
	left   int
	panics panicCounter
}

// serving returns the server, with a topic that requests can find.
func (v *victim) serving(t *testing.T) *Server {
	if v.left--; v.s != nil && v.left > 0 && len(v.s.topics.partitions()) < 500 {
		return v.s
	}
	if v.s != nil {
		if err := v.s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(context.Background(), Options{FS: disk.NewMemory(), ReserveBytes: -1, Inflated: 8 << 20, Log: slog.New(&v.panics), Settings: map[string]string{"log.cleaner.enable": "false"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.createTopic(t.Context(), "t", 2, nil); err != nil {
		t.Fatal(err)
	}
	v.s, v.left = s, 2000
	return s
}

func (v *victim) close(t testing.TB) {
	if v.s == nil {
		return
	}
	if err := v.s.Close(); err != nil {
		t.Error(err)
	}
}

// bystander is a connection that nothing is sent on.
func bystander(s *Server) *conn {
	return &conn{s: s, host: "127.0.0.1", l: &Listener{Advertised: "127.0.0.1:9092"}, session: acl.NewSession(s.security.state.Users, acl.SessionOptions{}, acl.Anonymous)}
}

// takeFrame does with a frame what a connection does, and fails the test for what must never happen: a panic, no end, memory
// without bounds.
func takeFrame(t *testing.T, v *victim, frame []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.serving(t)
	stuck := time.AfterFunc(20*time.Second, func() { panic("a request has no end") })
	defer stuck.Stop()
	before := allocated()
	handleFrame(t, s, frame)
	// A request may ask for a lot: 10,000 partitions, each with a log.
	if took := allocated() - before; took > uint64(512<<20+1000*len(frame)) {
		t.Fatalf("a frame of %d bytes took %d MB", len(frame), took>>20)
	}
}

func handleFrame(t *testing.T, s *Server, frame []byte) {
	r, body, err := s.open(frame)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	c := bystander(s)
	r.conn, r.principal = c, c.session.Principal()
	answer, err := s.work(ctx, r, body)
	if errors.Is(err, errPanic) {
		t.Fatalf("%s version %d panicked", kmsg.NameForKey(r.key), r.version)
	}
	if err != nil {
		return
	}
	if response := answer(ctx); response != nil {
		appendAnswer(nil, r, response)
		s.release(response)
	}
}

func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// frameOf puts a header before a body.
func frameOf(r kmsg.Request) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(r.Key()))
	b = binary.BigEndian.AppendUint16(b, uint16(r.GetVersion()))
	b = append(b, 0, 0, 0, 7, 0, 1, 'c')
	if r.IsFlexible() {
		b = append(b, 0)
	}
	return r.AppendTo(b)
}

// withBatches puts batches where a produce request has them.
func withBatches(rng *rand.Rand, r kmsg.Request) {
	p, ok := r.(*kmsg.ProduceRequest)
	if !ok {
		return
	}
	p.Acks, p.TransactionID = -1, nil
	for i := range p.Topics {
		for j := range p.Topics[i].Partitions {
			part := &p.Topics[i].Partitions[j]
			part.Partition &= 1
			part.Records = rawBatch(int16(rng.IntN(5)), int32(rng.IntN(3)+1), []byte("records"))
		}
	}
}

// rawBatch is a batch with a checksum that fits and records as they are given.
func rawBatch(attributes int16, records int32, body []byte) []byte {
	b := kmsg.RecordBatch{
		Magic: 2, PartitionLeaderEpoch: -1, Attributes: attributes, LastOffsetDelta: records - 1, NumRecords: records,
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, FirstTimestamp: time.Now().UnixMilli(), MaxTimestamp: time.Now().UnixMilli(), Records: body,
	}
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}

// FuzzFrame gives handlers whatever bytes there are, beginning with a valid request of each kind.
func FuzzFrame(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	for key, a := range allAPIs() {
		r := randomRequest(rng, key, a.max)
		withBatches(rng, r)
		f.Add(frameOf(r))
	}
	// Ten bytes that claim four billion tags, and a list that claims to be longer than it is.
	f.Add([]byte{0, 60, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add([]byte{0, 3, 0, 1, 0, 0, 0, 1, 0, 0, 0x7f, 0xff, 0xff, 0xff})
	v := &victim{}
	f.Cleanup(func() { v.close(f) })
	f.Fuzz(func(t *testing.T, frame []byte) { takeFrame(t, v, frame) })
}

// FuzzRequest changes valid requests of every kind and version a little: closer to what handlers do than FuzzFrame comes.
func FuzzRequest(f *testing.F) {
	apis := allAPIs()
	keys := slices.Sorted(maps.Keys(apis))
	for i := range keys {
		f.Add(uint64(1), byte(i), byte(0), []byte{})
		f.Add(uint64(2), byte(i), byte(200), []byte{5, 0xff, 9, 0x80})
	}
	v := &victim{}
	f.Cleanup(func() { v.close(f) })
	f.Fuzz(func(t *testing.T, seed uint64, index, version byte, changes []byte) {
		key := keys[int(index)%len(keys)]
		a := apis[key]
		rng := rand.New(rand.NewPCG(seed, 0))
		r := randomRequest(rng, key, a.min+int16(version)%(a.max-a.min+1))
		withBatches(rng, r)
		frame := frameOf(r)
		for i := 0; i+1 < len(changes); i += 2 {
			frame[8+int(changes[i])%(len(frame)-8)] ^= changes[i+1]
		}
		takeFrame(t, v, frame)
	})
}

// FuzzConnection sends bytes as they are to a connection, before and during a login.
func FuzzConnection(f *testing.F) {
	handshake := kmsg.NewPtrSASLHandshakeRequest()
	handshake.Mechanism = "SCRAM-SHA-256"
	raw := framed(frameOf(handshake))
	f.Add(true, raw)
	f.Add(true, append(raw, framed([]byte("n,,n=a,r=abc"))...))
	handshake.SetVersion(1)
	first := kmsg.NewPtrSASLAuthenticateRequest()
	first.SetVersion(2)
	first.SASLAuthBytes = []byte("n,,n=a,r=abc")
	f.Add(true, append(framed(frameOf(handshake)), framed(frameOf(first))...))
	f.Add(false, framed(frameOf(kmsg.NewPtrMetadataRequest())))
	versions := kmsg.NewPtrApiVersionsRequest()
	versions.SetVersion(3)
	f.Add(false, append(framed(frameOf(versions)), 0, 0, 0, 8))
	v := &victim{}
	f.Cleanup(func() { v.close(f) })
	f.Fuzz(func(t *testing.T, login bool, sent []byte) {
		v.mu.Lock()
		defer v.mu.Unlock()
		s := v.serving(t)
		l := &Listener{Advertised: "127.0.0.1:9092"}
		if login {
			l.Mechanisms = []acl.Mechanism{acl.ScramSHA256, acl.ScramSHA512}
		}
		stuck := time.AfterFunc(20*time.Second, func() { panic("a connection has no end") })
		defer stuck.Stop()
		theirs, ours := net.Pipe()
		done := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			defer close(done)
			s.newConn(ours, l).run(ctx)
		}()
		go io.Copy(io.Discard, theirs)
		_, _ = theirs.Write(sent) // the other side may hang up
		theirs.Close()
		cancel()
		<-done
		if v.panics.seen.Load() {
			t.Fatal("a request panicked")
		}
	})
}

func framed(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// panicCounter is a log that notices requests that ran into a mistake of ours.
type panicCounter struct {
	slog.Handler
	seen atomic.Bool
}

func (h *panicCounter) Enabled(context.Context, slog.Level) bool { return true }

func (h *panicCounter) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "panic" {
			h.seen.Store(true)
		}
		return true
	})
	return nil
}
