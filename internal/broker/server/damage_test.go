package server

import (
	"context"
	"errors"
	"path"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/commitlog"
	"ravenswood.dev/internal/broker/disk"
	"ravenswood.dev/internal/broker/doctor"
)

// is wants one of Kafka's errors.
func is(t *testing.T, what string, err error, want *kerr.Error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: got %v, want %v", what, err, want)
	}
}

// damages wants exactly one damage and returns it.
func (s *story) damages(of at) *commitlog.DamageError {
	s.t.Helper()
	all := s.s.Damages()
	if len(all) != 1 || all[0].Topic != of.topic || all[0].Partition != of.partition {
		s.t.Fatalf("damages: %+v", all)
	}
	d, ok := errors.AsType[*commitlog.DamageError](all[0].Err)
	if !ok {
		s.t.Fatalf("damage without a place: %v", all[0].Err)
	}
	return d
}

// refuses wants every way to a partition closed, and all others open.
func (s *story) refuses(bad at, good ...at) {
	s.t.Helper()
	_, err := s.values(bad)
	is(s.t, "fetch", err, kerr.KafkaStorageError)
	_, err = s.produce(9, "", map[at]sending{bad: plainly("refused")})
	is(s.t, "produce", err, kerr.KafkaStorageError)
	is(s.t, "list offsets", s.listOffset(bad), kerr.KafkaStorageError)
	_, err = s.s.deleteUpTo(context.Background(), &request{conn: &conn{s: s.s}}, bad.topic, bad.partition, -1)
	is(s.t, "delete records", err, kerr.KafkaStorageError)
	_, err = ask[*kmsg.DescribeLogDirsResponse](s.direct, 4, kmsg.NewPtrDescribeLogDirsRequest())
	ok(s.t, err)
	for _, p := range s.s.cleanable() {
		if p.Topic == bad.topic && p.Index == bad.partition {
			s.t.Fatal("a fenced partition is cleaned")
		}
	}
	for _, a := range good {
		before, err := s.values(a)
		ok(s.t, err)
		s.put(a, "still works")
		s.has(a, append(before, "still works")...)
	}
	ok(s.t, s.s.checkpoint())
}

func (d direct) listOffset(of at) error {
	part := kmsg.NewListOffsetsRequestTopicPartition()
	part.Partition, part.Timestamp, part.CurrentLeaderEpoch = of.partition, atLatest, -1
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic, t.Partitions = of.topic, append(t.Partitions, part)
	req := kmsg.NewPtrListOffsetsRequest()
	req.Topics = append(req.Topics, t)
	response, err := ask[*kmsg.ListOffsetsResponse](d, 7, req)
	if err != nil {
		return err
	}
	return refused("list offsets", response.Topics[0].Partitions[0].ErrorCode)
}

// repaired lets the doctor find and mend what is wrong.
func repaired(t *testing.T, fs disk.FS, of at, file string) {
	t.Helper()
	report, err := doctor.Examine(context.Background(), doctor.Options{Files: fs})
	ok(t, err)
	if report.Damaged() == 0 || report.Findings[0].Topic != of.topic || report.Findings[0].File != file {
		t.Fatalf("the doctor found %+v, want %s", report.Findings, file)
	}
	_, err = doctor.Repair(context.Background(), doctor.Options{Files: fs}, of.topic, of.partition)
	ok(t, err)
	report, err = doctor.Examine(context.Background(), doctor.Options{Files: fs})
	ok(t, err)
	if report.Damaged() != 0 {
		t.Fatalf("after the repair: %+v", report.Findings)
	}
}

// TestDamagedMiddle: a byte of a complete segment changed. That partition serves nobody, the others do, transactions over
// both end, and the doctor gives back what can be read.
func TestDamagedMiddle(t *testing.T) {
	fs := disk.NewMemory()
	bad, other, elsewhere := at{"t", 0}, at{"t", 1}, at{"u", 0}
	s := tell(t, fs)
	s.create("t", 2, map[string]string{"segment.bytes": "250"})
	s.create("u", 1, nil)
	s.put(bad, "a", "b", "c", "d", "e", "f", "g", "h")
	s.put(other, "1", "2", "3", "4")
	p := s.transaction("x", "of x", bad, elsewhere)
	file := files(t, fs, s.s, bad, ".log")[0]
	edit(t, fs, file, func(raw []byte) []byte {
		raw[len(raw)-2] ^= 1 // the last record
		return raw
	})

	_, err := s.values(bad)
	is(t, "fetch", err, kerr.KafkaStorageError)
	if d := s.damages(bad); d.File != file || d.Offset == 0 {
		t.Fatalf("damage %+v, want one in %s", d, file)
	}
	s.says("partition fenced", "partition=t/0", file, "raven doctor")
	s.refuses(bad, other)
	_, err = s.end(5, "x", p, true)
	ok(t, err)
	s.has(elsewhere, "of x")
	_, err = s.initProducer("x")
	ok(t, err)
	s.over()

	s = tell(t, fs)
	_, err = s.values(bad)
	is(t, "fetch after a restart", err, kerr.KafkaStorageError)
	s.damages(bad)
	s.refuses(bad, other, elsewhere)
	s.over()

	repaired(t, fs, bad, file)
	s = tell(t, fs)
	got, err := s.values(bad)
	ok(t, err)
	if text := strings.Join(got, ""); !strings.HasSuffix(text, "defghof x") && !strings.HasSuffix(text, "efghof x") && !strings.HasSuffix(text, "fghof x") {
		t.Fatalf("left are %q", got)
	}
	s.put(bad, "next")
	s.over()
}

// TestDamageThatTheLogReports: a log that cannot be opened does not keep the broker from starting.
func TestDamageThatTheLogReports(t *testing.T) {
	fs := disk.NewMemory()
	bad, other := at{"t", 0}, at{"u", 0}
	s := tell(t, fs)
	s.create("t", 1, nil)
	s.create("u", 1, nil)
	s.put(bad, "a", "b", "c", "d")
	s.put(other, "1")
	_, err := s.s.deleteUpTo(context.Background(), &request{conn: &conn{s: s.s}}, "t", 0, 1)
	ok(t, err)
	file := files(t, fs, s.s, bad, ".log")[0]
	s.over()
	edit(t, fs, file, func(raw []byte) []byte { return raw[:len(raw)-5] }) // synced and covered by its sidecar: no tear

	for range 2 { // it stays so, over the checkpoint of a start, too
		s = tell(t, fs)
		if d := s.damages(bad); d.File != file {
			t.Fatalf("damage %+v, want one in %s", d, file)
		}
		s.says("partition fenced", "partition=t/0", path.Base(file))
		s.refuses(bad, other)
		p, err := s.initProducer("x")
		ok(t, err)
		_, err = s.produce(12, "x", map[at]sending{bad: {producer: p, txn: true, records: []entry{{value: "x"}}}})
		is(t, "produce in a transaction", err, kerr.KafkaStorageError)
		s.over()
	}

	repaired(t, fs, bad, file)
	s = tell(t, fs)
	s.has(bad, "b", "c") // "a" was deleted before, "d" is what the damage took
	s.put(bad, "next")
	s.over()
}

// TestDamagedPartitionCanBeDeleted: who needs nothing of it gets rid of it.
func TestDamagedPartitionCanBeDeleted(t *testing.T) {
	fs := disk.NewMemory()
	s := tell(t, fs)
	s.create("t", 1, nil)
	s.put(at{"t", 0}, "a", "b")
	file := files(t, fs, s.s, at{"t", 0}, ".log")[0]
	s.over()
	edit(t, fs, file, func(raw []byte) []byte { return raw[:len(raw)-5] })
	s = tell(t, fs)
	ok(t, s.s.deleteTopic(context.Background(), s.s.topics.named("t")))
	s.create("t", 1, nil)
	s.put(at{"t", 0}, "new")
	s.has(at{"t", 0}, "new")
	if left, err := fs.List("topics/t"); err != nil || len(left) != 1 {
		t.Fatalf("left: %v %v", left, err)
	}
	s.over()
}
