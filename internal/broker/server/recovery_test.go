package server

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/batch"
	"ravenswood.dev/internal/broker/commitlog"
	"ravenswood.dev/internal/broker/disk"
	"ravenswood.dev/internal/broker/txn"
)

// TestRecovery: what accidents leave is mended, and the log says what was done.
func TestRecovery(t *testing.T) {
	sealed := map[string]string{"segment.bytes": "250"}
	values := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	to := at{"t", 0}
	last := func(names []string) string { return names[len(names)-1] }
	for _, c := range []struct {
		name     string
		accident func(t *testing.T, fs *disk.Memory, s *Server)
		says     []string
	}{
		{"a torn tail", func(t *testing.T, fs *disk.Memory, s *Server) {
			torn := plainly("torn").raw()
			edit(t, fs, last(files(t, fs, s, to, ".log")), func(raw []byte) []byte { return append(raw, torn[:len(torn)-3]...) })
		}, []string{"torn end cut off", "partition=t/0", "bytes="}},
		{"a tail of zeros", func(t *testing.T, fs *disk.Memory, s *Server) {
			edit(t, fs, last(files(t, fs, s, to, ".log")), func(raw []byte) []byte { return append(raw, make([]byte, 4096)...) })
		}, []string{"torn end cut off", "bytes=4096"}},
		{"all sidecars lost", func(t *testing.T, fs *disk.Memory, s *Server) {
			for _, name := range files(t, fs, s, to, ".seal") {
				ok(t, fs.Remove(name))
			}
		}, []string{"sidecar made anew", "partition=t/0", "00000000000000000000.seal"}},
		{"one old sidecar lost", func(t *testing.T, fs *disk.Memory, s *Server) {
			ok(t, fs.Remove(files(t, fs, s, to, ".seal")[0]))
		}, nil},
		{"one old sidecar damaged", func(t *testing.T, fs *disk.Memory, s *Server) {
			edit(t, fs, files(t, fs, s, to, ".seal")[0], flip)
		}, nil},
		{"all sidecars damaged", func(t *testing.T, fs *disk.Memory, s *Server) {
			for _, name := range files(t, fs, s, to, ".seal") {
				edit(t, fs, name, flip)
			}
		}, []string{"sidecar made anew", "partition=t/0"}},
		{"a segment that was only begun", func(t *testing.T, fs *disk.Memory, s *Server) {
			p := s.topics.partition(to.topic, to.partition)
			ok(t, p.log.Checkpoint())
			name := path.Join(p.topic.dir(0), fmt.Sprintf("%020d.log", p.log.End()))
			edit(t, fs, name, func([]byte) []byte { return nil })
		}, nil},
		{"a compaction that had not decided", func(t *testing.T, fs *disk.Memory, s *Server) {
			dir := s.topics.partition(to.topic, to.partition).topic.dir(0)
			edit(t, fs, path.Join(dir, "00000000000000000000.clean"), func([]byte) []byte { return []byte("half of it") })
			edit(t, fs, path.Join(dir, "swap.tmp"), func([]byte) []byte { return []byte("- 0000") })
		}, nil},
		{"a torn journal", func(t *testing.T, fs *disk.Memory, _ *Server) {
			entries, err := fs.List(journalDir)
			ok(t, err)
			edit(t, fs, path.Join(journalDir, entries[len(entries)-1].Name), func(raw []byte) []byte { return append(raw, 1, 2, 3, 4, 5) })
		}, []string{"torn end cut off", "file=journal/", "bytes=5"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := disk.NewMemory()
			before := tell(t, fs)
			before.create("t", 1, sealed)
			before.put(to, values...)
			left := fs.Kill()
			c.accident(t, left, before.s)
			after := tell(t, left)
			after.has(to, values...)
			if c.says != nil {
				after.says(c.says...)
			}
			after.put(to, "next")
			after.over()
			again := tell(t, left)
			again.has(to, append(slices.Clone(values), "next")...)
			again.over()
		})
	}
}

// TestRecoveryFinishesACompactionThatWasDecided: `swap` is there, so what it says is done.
func TestRecoveryFinishesACompactionThatWasDecided(t *testing.T) {
	fs, to := disk.NewMemory(), at{"t", 0}
	before := tell(t, fs)
	before.create("t", 1, map[string]string{"segment.bytes": "250"})
	values := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"}
	before.put(to, values...)
	p := before.s.topics.partition("t", 0)
	segments := p.log.Segments()
	var swapped *disk.Memory
	fs.Hook = func(op disk.Op) {
		if swapped == nil && op.Kind == disk.OpRemove && path.Ext(op.Name) == ".log" {
			swapped = fs.Kill()
		}
	}
	builder, err := p.log.NewSegment(segments[0].Base)
	ok(t, err)
	raw, err := p.log.Read(nil, 0, 1, segments[0].Next)
	ok(t, err)
	h, err := batch.Parse(raw)
	ok(t, err)
	ok(t, builder.Append(h, raw[:h.Bytes]))
	ok(t, builder.Finish())
	ok(t, p.change(func() error {
		return p.log.Replace([]int64{segments[0].Base, segments[1].Base}, []*commitlog.Builder{builder})
	}))
	if swapped == nil {
		t.Fatal("nothing was removed after the decision")
	}
	after := tell(t, swapped)
	after.has(to, append([]string{"a"}, values[segments[1].Next:]...)...)
}

// TestRecoveryGivesUpTransactionsOfNobody: a transaction that no coordinator knows would hold up readers for ever.
func TestRecoveryGivesUpTransactionsOfNobody(t *testing.T) {
	fs, to := disk.NewMemory(), at{"t", 0}
	before := tell(t, fs)
	before.create("t", 1, nil)
	before.put(to, "a")
	p := before.s.topics.partition("t", 0)
	orphan := sending{producer: txn.Producer{ID: 4711}, txn: true, records: []entry{{value: "orphan"}}}
	p.mu.Lock()
	_, err := p.write(orphan.raw(), false, time.Now())
	p.mu.Unlock()
	ok(t, err)
	before.put(to, "b")
	before.has(to, "a")
	after := tell(t, fs.Kill())
	after.has(to, "a", "b")
}

// TestRecoveryForgetsDecisions: a decision about records that a loss of power took away is not taken for one about what the
// same producer writes at the same place later.
func TestRecoveryForgetsDecisions(t *testing.T) {
	for seed := range uint64(20) {
		fs, to := disk.NewMemory(), at{"t", 0}
		s := tell(t, fs)
		s.create("t", 1, nil)
		p, err := s.initProducer("x")
		ok(t, err)
		var left *disk.Memory
		fs.Hook = func(op disk.Op) {
			if op.Kind == disk.OpSync && path.Ext(op.Name) == ".log" && left == nil {
				left = fs.PowerLoss(rand.New(rand.NewPCG(seed, 0)))
			}
		}
		s.unsynced(to, "x", p, "lost")
		_, err = s.end(4, "x", p, true)
		ok(t, err)
		fs.Hook = nil
		s = tell(t, left)
		before, err := s.values(to)
		ok(t, err)
		s.unsynced(to, "x", p, "not committed")
		s = tell(t, left.Kill())
		_, err = s.initProducer("x")
		ok(t, err)
		s.has(to, before...)
	}
}

// unsynced writes one record in a transaction, and does not wait until it is on the disk.
func (s *story) unsynced(to at, id string, producer txn.Producer, value string) {
	s.t.Helper()
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = id, producer.ID, producer.Epoch
	req.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: to.topic, Partitions: []int32{to.partition}}}
	response, err := ask[*kmsg.AddPartitionsToTxnResponse](s.direct, 3, req)
	ok(s.t, err)
	ok(s.t, refused("add partitions", response.Topics[0].Partitions[0].ErrorCode))
	p := s.s.topics.partition(to.topic, to.partition)
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err = p.write(sending{producer: producer, txn: true, records: []entry{{value: value}}}.raw(), false, time.Now())
	ok(s.t, err)
}
