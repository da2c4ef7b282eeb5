package kafkatest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

func housekeepingCases() []testCase {
	return []testCase{
		{"records past retention.ms go", keepTime},
		{"records above retention.bytes go, the newest stay", keepBytes},
		{"retention lets records stay that are young", keepYoung},
		{"offsets go on after everything was deleted", keepOffsets},
		{"compaction keeps the last value of a key, offsets too", keepCompacted},
		{"a tombstone removes a key, and goes itself later", keepTombstone},
		{"compaction leaves records of an open transaction alone", keepOpenTransaction},
		{"compaction drops what was aborted, not what it would replace", keepAborted},
		{"a producer may repeat its batch after compaction", keepSequence},
	}
}

// compacting are settings under which a partition is compacted as soon as a segment is a tenth of a second old.
var compacting = []string{"cleanup.policy", "compact", "segment.ms", "100", "min.cleanable.dirty.ratio", "0.0", "delete.retention.ms", "0", "min.compaction.lag.ms", "0"}

// roll writes until the segment before is closed: the active one is never touched by housekeeping.
func (t *T) roll(topic string, step int) {
	t.Helper()
	t.produce(topic, 0, keyed("roll", fmt.Sprint(step)))
}

// pairs are the records of a partition as key=value, without those that only make segments roll.
func (t *T) pairs(topic string, isolation level) (found []string) {
	t.Helper()
	for _, r := range t.records(topic, 0, isolation) {
		if string(r.key) != "roll" {
			found = append(found, string(r.key)+"="+string(r.value))
		}
	}
	return found
}

// awaitPairs rolls segments until a partition looks as it should.
func (t *T) awaitPairs(topic string, isolation level, want ...string) {
	t.Helper()
	step := 0
	t.eventually(fmt.Sprintf("%q", want), func() bool {
		if step++; step%8 == 1 {
			t.roll(topic, step)
		}
		return slices.Equal(t.pairs(topic, isolation), want)
	})
}

func keepTime(t *T) {
	topic := t.topic(1, "retention.ms", "60000", "segment.ms", "100")
	t.produce(topic, 0, keyed("old", "1").at(time.Now().Add(-time.Hour)))
	t.produce(topic, 0, keyed("older", "1").at(time.Now().Add(-2*time.Hour)))
	t.awaitPairs(topic, uncommitted)
	if start := t.offsetAt(topic, 0, -2, uncommitted); start < 2 {
		t.Fatalf("the log begins at %d", start)
	}
}

// keepBytes lets a second pass between records, by their own clocks, so that each has a segment of its own.
func keepBytes(t *T) {
	topic := t.topic(1, "retention.bytes", "5000", "segment.ms", "100")
	begun := time.Now().Add(-time.Minute)
	for i := range 10 {
		t.produce(topic, 0, keyed(fmt.Sprint("k", i), strings.Repeat("x", 1000)).at(begun.Add(time.Duration(i)*time.Second)))
	}
	var left []string
	t.eventually("less than eight of ten records", func() bool {
		left = t.pairs(topic, uncommitted)
		return len(left) < 8
	})
	if len(left) < 4 || !strings.HasPrefix(left[len(left)-1], "k9=") {
		t.Fatalf("%d records are left of 5 KB", len(left))
	}
}

func keepYoung(t *T) {
	topic, control := t.topic(1, "retention.ms", "60000", "segment.ms", "100"), t.topic(1, "retention.ms", "60000", "segment.ms", "100")
	t.produce(topic, 0, keyed("young", "1"))
	t.roll(topic, 0)
	t.produce(control, 0, keyed("old", "1").at(time.Now().Add(-time.Hour)))
	t.awaitPairs(control, uncommitted)
	t.awaitPairs(topic, uncommitted, "young=1")
}

func keepOffsets(t *T) {
	topic := t.topic(1, "retention.ms", "60000", "segment.ms", "100")
	for range 5 {
		t.produce(topic, 0, keyed("old", "1").at(time.Now().Add(-time.Hour)))
	}
	t.eventually("an empty log", func() bool { return t.offsetAt(topic, 0, -2, uncommitted) == 5 })
	equal(t, "offset", t.produce(topic, 0, plain("new")), 5)
}

func keepCompacted(t *T) {
	topic := t.topic(1, compacting...)
	for i := range 20 {
		t.produce(topic, 0, keyed(fmt.Sprint("k", i%3), fmt.Sprint(i)))
	}
	t.awaitPairs(topic, uncommitted, "k2=17", "k0=18", "k1=19")
	for i, r := range t.records(topic, 0, uncommitted)[:3] {
		equal(t, "offset", r.offset, int64(17+i))
	}
}

func keepTombstone(t *T) {
	topic := t.topic(1, compacting...)
	t.produce(topic, 0, keyed("gone", "1", "stays", "2"))
	t.produce(topic, 0, keyed("gone", ""))
	t.awaitPairs(topic, uncommitted, "stays=2")
}

// keyedSend writes one keyed record of a transaction.
func (p *producer) keyedSend(topic, key, value string) {
	p.t.Helper()
	b := keyed(key, value)
	b.producer, b.epoch, b.sequence, b.transactional = p.pid, p.epoch, p.next[place(topic, 0)], true
	p.t.ok("produce", p.try(topic, 0, b).ErrorCode)
	p.next[place(topic, 0)]++
}

// keepOpenTransaction: the last committed value must not go for one that may still be aborted.
func keepOpenTransaction(t *T) {
	topic, control, p := t.topic(1, compacting...), t.topic(1, compacting...), t.transactional()
	t.produce(topic, 0, keyed("k", "committed"))
	p.keyedSend(topic, "k", "open")
	t.produce(control, 0, keyed("k", "1"))
	t.produce(control, 0, keyed("k", "2"))
	t.awaitPairs(control, uncommitted, "k=2")
	t.roll(topic, 0)
	p.abort()
	t.awaitPairs(topic, committed, "k=committed")
}

func keepAborted(t *T) {
	topic, p := t.topic(1, compacting...), t.transactional()
	p.keyedSend(topic, "k", "first")
	p.commit()
	p.keyedSend(topic, "k", "aborted")
	p.abort()
	p.keyedSend(topic, "l", "second")
	p.commit()
	t.awaitPairs(topic, uncommitted, "k=first", "l=second")
	t.awaitPairs(topic, committed, "k=first", "l=second")
}

func keepSequence(t *T) {
	topic, p := t.topic(1, compacting...), t.idempotent()
	send := func(key string) batch {
		b := keyed(key, "v")
		b.producer, b.epoch, b.sequence = p.pid, p.epoch, p.next[place(topic, 0)]
		t.ok("produce", p.try(topic, 0, b).ErrorCode)
		p.next[place(topic, 0)]++
		return b
	}
	send("k")
	last := send("k")
	t.produce(topic, 0, keyed("k", "last"))
	t.awaitPairs(topic, uncommitted, "k=last")
	res := p.try(topic, 0, last)
	t.ok("repeat", res.ErrorCode)
	equal(t, "offset of the repetition", res.BaseOffset, 1)
	send("l")
}
