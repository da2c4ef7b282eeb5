package server

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/disk"
)

// A small file system has so many bytes for files.
type small struct {
	disk.FS

	mu    sync.Mutex
	limit int64 // GUARDED_BY(mu)
}

func (s *small) resize(limit int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = limit
}

// used is the size of all files.
func (s *small) used(dir string) (sum int64) {
	entries, _ := s.List(dir)
	for _, e := range entries {
		if sum += e.Size; e.Dir {
			sum += s.used(path.Join(dir, e.Name))
		}
	}
	return sum
}

func (s *small) Open(name string, mode disk.Mode) (disk.File, error) {
	f, err := s.FS.Open(name, mode)
	if err != nil {
		return nil, err
	}
	return &smallFile{File: f, s: s}, nil
}

type smallFile struct {
	disk.File
	s *small
}

// WriteAt writes what there is room for.
func (f *smallFile) WriteAt(b []byte, at int64) (int, error) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	size, err := f.Size()
	if err != nil {
		return 0, err
	}
	room := max(0, f.s.limit-f.s.used(".")) + max(0, size-at)
	if int64(len(b)) <= room {
		return f.File.WriteAt(b, at)
	}
	n, err := f.File.WriteAt(b[:room], at)
	return n, errors.Join(err, syscall.ENOSPC)
}

// fill produces until it is refused, and returns what was acknowledged.
func (s *story) fill(to at, have []string) []string {
	s.t.Helper()
	for i := range 10_000 {
		value := fmt.Sprintf("%d-%s", i, strings.Repeat(".", 1000))
		if _, err := s.produce(9, "", map[at]sending{to: plainly(value)}); err != nil {
			is(s.t, "produce", err, kerr.KafkaStorageError)
			return have
		}
		have = append(have, value)
	}
	s.t.Fatal("the disk never filled")
	return nil
}

func (d direct) commitOffset(group string, of at, offset int64) error {
	part := kmsg.NewOffsetCommitRequestTopicPartition()
	part.Partition, part.Offset = of.partition, offset
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic, t.Partitions = of.topic, append(t.Partitions, part)
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation, req.Topics = group, -1, append(req.Topics, t)
	response, err := ask[*kmsg.OffsetCommitResponse](d, 7, req)
	return errors.Join(err, refused("commit offset", response.Topics[0].Partitions[0].ErrorCode))
}

// TestDiskFull: nothing more is produced, but what is there is read, committed and ended; when there is room again, it goes
// on by itself.
func TestDiskFull(t *testing.T) {
	fs := &small{FS: disk.NewMemory(), limit: 400 << 10}
	to, other := at{"t", 0}, at{"u", 0}
	reserve := func(o *Options) { o.ReserveBytes = 64 << 10 }
	s := tell(t, fs, reserve)
	s.create("t", 1, map[string]string{"segment.bytes": "20000"})
	s.create("u", 1, nil)
	soon(t, "the reserve is taken", func() bool { return fs.used(".") > 64<<10 })
	one, two := s.transaction("one", "of one", other), s.transaction("two", "of two", to, other)
	have := s.fill(to, nil)
	if !s.s.DiskFull() || len(have) < 100 {
		t.Fatalf("full: %v after %d records", s.s.DiskFull(), len(have))
	}
	s.says("disk full", "produces are refused")

	got, err := s.read(to, 1, false)
	ok(t, err)
	if len(got) != len(have) {
		t.Fatalf("%d of %d records are readable", len(got), len(have))
	}
	for i := range 20 {
		ok(t, s.commitOffset("g", to, int64(i)))
	}
	_, err = s.end(5, "one", one, true)
	ok(t, err)
	_, err = s.end(5, "two", two, false)
	ok(t, err)
	s.has(other, "of one")
	s.has(to, have...)
	if _, err = s.s.createTopic(context.Background(), "refused", 3, nil); !errors.Is(err, kerr.KafkaStorageError) {
		t.Fatalf("create: %v", err)
	}
	if left, err := fs.List("topics/refused"); err == nil {
		t.Fatalf("left of a refused topic: %v", left)
	}

	fs.resize(2 << 20)
	soon(t, "produce again", func() bool {
		_, err := s.produce(9, "", map[at]sending{to: plainly("room")})
		return err == nil
	})
	s.says("room on the disk again")
	s.has(to, append(have, "room")...)
	s.over()
	s = tell(t, fs, reserve)
	s.has(to, append(have, "room")...)
	s.has(other, "of one")
	if offset, err := s.committedOffset("g", to); err != nil || offset != 19 {
		t.Fatalf("offset %d, %v", offset, err)
	}
	s.over()
}

// TestStartOnAFullDisk: the reserve is for that, too.
func TestStartOnAFullDisk(t *testing.T) {
	memory := disk.NewMemory()
	fs := &small{FS: memory, limit: 1 << 20}
	reserve := func(o *Options) { o.ReserveBytes = 64 << 10 }
	s := tell(t, fs, reserve)
	s.create("t", 1, nil)
	s.put(at{"t", 0}, "a", "b")
	s.transaction("x", "open", at{"t", 0})
	soon(t, "the reserve is taken", func() bool { return fs.used(".") > 64<<10 })
	left := &small{FS: memory.Kill()}
	left.limit = left.used(".") // not one byte more
	s = tell(t, left, reserve)
	s.has(at{"t", 0}, "a", "b")
	soon(t, "produce refused", func() bool {
		_, err := s.produce(9, "", map[at]sending{{"t", 0}: plainly("x")})
		return errors.Is(err, kerr.KafkaStorageError)
	})
	ok(t, s.commitOffset("g", at{"t", 0}, 1))
	s.over()
}

// TestFailedSync: what a failed sync leaves on the disk nobody knows, so the partition serves nobody until a start reads it
// again. What was acknowledged is there, and a transaction that was committed is committed in that partition, too.
func TestFailedSync(t *testing.T) {
	memory := disk.NewMemory()
	fs := disk.NewFaulty(memory)
	bad, good := at{"bad", 0}, at{"good", 0}
	s := tell(t, fs)
	s.create("bad", 1, nil)
	s.create("good", 1, nil)
	s.put(bad, "a", "b")
	p := s.transaction("x", "of x", bad, good)
	fs.Fail(disk.Fault{Kind: disk.OpSync, Name: "topics/bad/*/0/*.log"})
	_, err := s.end(5, "x", p, true) // decided, whatever the log says
	ok(t, err)
	s.has(good, "of x")
	_, err = s.values(bad)
	is(t, "fetch", err, kerr.KafkaStorageError)
	_, err = s.produce(9, "", map[at]sending{bad: plainly("c")})
	is(t, "produce", err, kerr.KafkaStorageError)
	s.says("partition fenced", "partition=bad/0")
	if len(s.s.Damages()) != 1 {
		t.Fatalf("damages: %v", s.s.Damages())
	}
	s.put(good, "still works")
	ok(t, s.s.checkpoint()) // keeps the decision for the partition that may not have it
	for seed := range uint64(8) {
		after := tell(t, memory.PowerLoss(rand.New(rand.NewPCG(seed, 0))))
		after.has(good, "of x", "still works")
		after.has(bad, "a", "b", "of x")
		after.over()
	}
}

// TestFailedJournal: without a journal nothing can be promised, and nothing is.
func TestFailedJournal(t *testing.T) {
	memory := disk.NewMemory()
	fs := disk.NewFaulty(memory)
	to := at{"t", 0}
	s := tell(t, fs)
	s.create("t", 1, nil)
	s.put(to, "a")
	ok(t, s.commitOffset("g", to, 1))
	p := s.transaction("x", "of x", to)
	fs.Fail(disk.Fault{Kind: disk.OpSync, Name: "journal/*"})
	if err := s.commitOffset("g", to, 2); err == nil {
		t.Fatal("an offset was acknowledged that is not on the disk")
	}
	if _, err := s.end(5, "x", p, true); err == nil {
		t.Fatal("a commit was acknowledged that is not on the disk")
	}
	if _, err := s.s.createTopic(context.Background(), "u", 1, nil); err == nil {
		t.Fatal("a topic was acknowledged that is not on the disk")
	}
	if s.s.JournalError() == nil {
		t.Fatal("nobody is told that the journal is broken")
	}
	s.put(to, "b") // the log has its own files
	for seed := range uint64(8) {
		after := tell(t, memory.PowerLoss(rand.New(rand.NewPCG(seed, 0))))
		_, err := after.initProducer("x")
		ok(t, err)
		got, err := after.values(to)
		ok(t, err)
		if text := strings.Join(got, " "); text != "a b" && text != "a of x b" {
			t.Fatalf("got %q", got)
		}
		if offset, err := after.committedOffset("g", to); err != nil || offset != 1 && offset != 2 {
			t.Fatalf("offset %d, %v", offset, err)
		}
		after.over()
	}
}
