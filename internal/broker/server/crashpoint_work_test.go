package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/cleaner"
	"ravenswood.dev/internal/broker/disk"
	"ravenswood.dev/internal/broker/txn"
)

// work is a client that does one thing after the other, and remembers what it was told.
type work struct {
	t  *testing.T
	o  Options
	fs *disk.Memory
	direct

	mu      sync.Mutex
	doing   string // GUARDED_BY(mu)
	history []fact // GUARDED_BY(mu); only ever appended to
	pending fact   // GUARDED_BY(mu)

	values   int
	numbers  int
	clock    int64 // of the records, Unix milliseconds
	settings map[string]map[string]string
	member   string
	hook     func(disk.Op)

	meanwhile atomic.Pointer[func()] // done once, when the log of a partition is about to be synced
}

// during does something while an answer waits for a partition to be synced.
func (w *work) during(f func()) { w.meanwhile.Store(&f) }

func (w *work) interfere(op disk.Op) {
	f := w.meanwhile.Load()
	if f != nil && op.Kind == disk.OpSync && path.Ext(op.Name) == ".log" && w.meanwhile.CompareAndSwap(f, nil) {
		(*f)()
	}
}

// do asks for something. maybe is what may be found before the answer; ask returns what is true after it.
func (w *work) do(what string, maybe fact, ask func() (fact, error)) {
	w.t.Helper()
	w.mu.Lock()
	w.doing, w.pending = what, maybe
	w.mu.Unlock()
	answered, err := ask()
	if err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history, w.pending = append(w.history, answered), nil
}

// both is a fact that does not depend on what the answer says.
func (w *work) both(what string, learn fact, ask func() error) {
	w.t.Helper()
	w.do(what, learn, func() (fact, error) { return learn, ask() })
}

func nothingNew(*facts, bool) {}

// start opens the server on what is there.
func (w *work) start() {
	w.t.Helper()
	w.fs.Hook = w.hook
	w.o.FS = w.fs
	w.both("start", nothingNew, func() (err error) {
		w.s, err = Open(context.Background(), w.o)
		return err
	})
}

// restart closes in order and starts again.
func (w *work) restart() {
	w.both("close", nothingNew, func() error { return w.s.Close() })
	w.start()
}

// die goes on with what a crash leaves.
func (w *work) die(left *disk.Memory) {
	old := w.s
	w.fs.Hook = nil
	w.fs = left
	w.start()
	if err := old.Close(); err != nil {
		w.t.Error(err)
	}
}

func (w *work) create(name string, parts int, settings map[string]string) {
	w.settings[name] = settings
	req := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, int32(parts), 1
	for k, v := range settings {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = k, kmsg.StringPtr(v)
		t.Configs = append(t.Configs, c)
	}
	req.Topics = append(req.Topics, t)
	maybe := func(f *facts, _ bool) { f.create(name, topicID{}, parts, settings, false) }
	w.do("create "+name, maybe, func() (fact, error) {
		response, err := ask[*kmsg.CreateTopicsResponse](w.direct, 7, req)
		if err != nil {
			return nil, err
		}
		id := topicID(response.Topics[0].TopicID)
		return func(f *facts, _ bool) { f.create(name, id, parts, settings, true) }, refused("create", response.Topics[0].ErrorCode)
	})
}

func (w *work) remove(name string) {
	w.both("delete "+name, func(f *facts, answered bool) { f.remove(name, answered) }, func() error {
		req := kmsg.NewPtrDeleteTopicsRequest()
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
		response, err := ask[*kmsg.DeleteTopicsResponse](w.direct, 6, req)
		return errors.Join(err, refused("delete", response.Topics[0].ErrorCode))
	})
}

func (w *work) configure(name, key, value string) {
	after := maps.Clone(w.settings[name])
	after[key] = value
	w.settings[name] = after
	w.both("configure "+name, func(f *facts, answered bool) { f.configure(name, after, answered) }, func() error {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Value = key, kmsg.StringPtr(value)
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName, r.Configs = kmsg.ConfigResourceTypeTopic, name, append(r.Configs, c)
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		req.Resources = append(req.Resources, r)
		response, err := ask[*kmsg.IncrementalAlterConfigsResponse](w.direct, 1, req)
		return errors.Join(err, refused("configure", response.Resources[0].ErrorCode))
	})
}

// A writer is a producer, with a transactional id or without.
type writer struct {
	w         *work
	id        string
	producer  txn.Producer
	sequences map[at]int32
	number    int  // of the open transaction, 0: none
	implicit  bool // the second version of transactions
	joined    map[at]bool
}

func (w *work) writer(id string, implicit bool) *writer {
	p := &writer{w: w, id: id, implicit: implicit, producer: txn.NoProducer}
	p.init()
	return p
}

// init takes the transactional id, or a new producer id. What was open is given up.
func (p *writer) init() {
	w, number := p.w, p.number
	given := func(f *facts, answered bool) {
		if number > 0 {
			f.end(number, false, answered)
		}
	}
	w.do("init producer "+p.id, given, func() (fact, error) {
		now, err := w.initProducer(p.id)
		p.producer, p.sequences, p.number = now, map[at]int32{}, 0
		return func(f *facts, answered bool) {
			given(f, answered)
			f.given[now.ID] = true
			if p.id != "" {
				f.owners[p.id] = now
			}
		}, err
	})
}

// begin opens a transaction with the first thing that follows.
func (p *writer) begin() {
	p.w.numbers++
	number := p.w.numbers
	p.number, p.joined = number, map[at]bool{}
	p.w.both("begin", func(f *facts, _ bool) {
		f.txns[number] = &txnFacts{id: p.id, offsets: map[groupAt]int64{}}
	}, func() error { return nil })
}

// write sends one batch to each partition, in one request. A key makes all records have it.
func (p *writer) write(records int, key string, to ...at) {
	w := p.w
	batches := map[at]sending{}
	for _, a := range to {
		b := sending{producer: p.producer, sequence: p.sequences[a], txn: p.number > 0, millis: w.clock}
		if b.producer.ID < 0 {
			b.sequence = -1
		}
		for range records {
			w.values++
			b.records = append(b.records, entry{key, fmt.Sprintf("%s-%d", a.topic, w.values)})
		}
		batches[a] = b
		p.sequences[a] += int32(records)
	}
	version := int16(9)
	if p.number > 0 {
		if version = 12; !p.implicit {
			version = 11
			p.join(to)
		}
	}
	number := p.number
	learn := func(f *facts, bases map[at]int64) {
		for _, a := range sortedAt(batches) {
			base := int64(-1)
			if bases != nil {
				base = bases[a]
			}
			f.write(a, batches[a], number, version, base)
		}
	}
	w.do(fmt.Sprintf("produce to %v", to), func(f *facts, _ bool) { learn(f, nil) }, func() (fact, error) {
		bases, err := w.produce(version, p.id, batches)
		return func(f *facts, _ bool) { learn(f, bases) }, err
	})
}

// join adds partitions to the transaction with a request of its own.
func (p *writer) join(to []at) {
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = p.id, p.producer.ID, p.producer.Epoch
	for _, a := range to {
		if !p.joined[a] {
			p.joined[a] = true
			t := kmsg.NewAddPartitionsToTxnRequestTopic()
			t.Topic, t.Partitions = a.topic, []int32{a.partition}
			req.Topics = append(req.Topics, t)
		}
	}
	if len(req.Topics) == 0 {
		return
	}
	p.w.both("add partitions", nothingNew, func() error {
		response, err := ask[*kmsg.AddPartitionsToTxnResponse](p.w.direct, 3, req)
		if err != nil {
			return err
		}
		return refused("add partitions", response.Topics[0].Partitions[0].ErrorCode)
	})
}

// commit keeps an offset of a group in the transaction.
func (p *writer) commit(group string, of at, offset int64) {
	version := int16(5)
	if !p.implicit {
		version = 3
		p.w.both("add offsets", nothingNew, func() error {
			req := kmsg.NewPtrAddOffsetsToTxnRequest()
			req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = p.id, p.producer.ID, p.producer.Epoch, group
			response, err := ask[*kmsg.AddOffsetsToTxnResponse](p.w.direct, 3, req)
			return errors.Join(err, refused("add offsets", response.ErrorCode))
		})
	}
	number, key := p.number, groupAt{group, of}
	learn := func(f *facts, answered bool) {
		if answered {
			f.txns[number].offsets[key] = offset
		}
	}
	p.w.both("commit offsets in transaction", learn, func() error {
		return p.w.commitOffsetIn(version, p.id, p.producer, group, of, offset)
	})
}

// end commits or gives up.
func (p *writer) end(commit bool) {
	version, number, was := int16(5), p.number, p.producer
	if !p.implicit {
		version = 4
	}
	w := p.w
	w.do(fmt.Sprintf("end transaction (commit %v)", commit), func(f *facts, _ bool) { f.end(number, commit, false) }, func() (fact, error) {
		now, err := w.end(version, p.id, p.producer, commit)
		p.producer, p.number = now, 0
		if now != was {
			p.sequences = map[at]int32{}
		}
		return func(f *facts, _ bool) {
			f.end(number, commit, true)
			f.owners[p.id], f.given[now.ID] = now, true
		}, err
	})
}

// commit keeps an offset of a group.
func (w *work) commit(group string, of at, offset int64) {
	w.both("commit offset", func(f *facts, answered bool) { f.commit(groupAt{group, of}, offset, answered) }, func() error {
		part := kmsg.NewOffsetCommitRequestTopicPartition()
		part.Partition, part.Offset = of.partition, offset
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic, t.Partitions = of.topic, append(t.Partitions, part)
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Group, req.Generation, req.Topics = group, -1, append(req.Topics, t)
		response, err := ask[*kmsg.OffsetCommitResponse](w.direct, 7, req)
		return errors.Join(err, refused("commit offset", response.Topics[0].Partitions[0].ErrorCode))
	})
}

// rejoin makes a new round of a group with one member.
func (w *work) rejoin(group string) {
	changing := func(f *facts, _ bool) {
		if f.groups[group] == nil {
			f.groups[group] = &groupFacts{}
		}
		f.groups[group].stable = false
	}
	if member := w.member; member != "" {
		w.both("leave group", changing, func() error { return w.leave(group, member) })
	}
	var joined *kmsg.JoinGroupResponse
	w.do("join group", changing, func() (_ fact, err error) {
		joined, err = w.join(group)
		return func(f *facts, _ bool) {
			changing(f, true)
			f.groups[group].generation, f.groups[group].member = joined.Generation, joined.MemberID
		}, err
	})
	w.member = joined.MemberID
	settled := func(f *facts, answered bool) { f.groups[group].stable = answered }
	w.both("sync group", settled, func() error {
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = joined.MemberID, []byte("all")
		req := kmsg.NewPtrSyncGroupRequest()
		req.Group, req.Generation, req.MemberID, req.GroupAssignment = group, joined.Generation, joined.MemberID, append(req.GroupAssignment, a)
		response, err := ask[*kmsg.SyncGroupResponse](w.direct, 3, req)
		return errors.Join(err, refused("sync", response.ErrorCode))
	})
}

func (w *work) deleteRecords(of at, offset int64) {
	w.both("delete records", func(f *facts, answered bool) { f.begins(of, offset, answered) }, func() error {
		part := kmsg.NewDeleteRecordsRequestTopicPartition()
		part.Partition, part.Offset = of.partition, offset
		t := kmsg.NewDeleteRecordsRequestTopic()
		t.Topic, t.Partitions = of.topic, append(t.Partitions, part)
		req := kmsg.NewPtrDeleteRecordsRequest()
		req.Topics = append(req.Topics, t)
		response, err := ask[*kmsg.DeleteRecordsResponse](w.direct, 2, req)
		return errors.Join(err, refused("delete records", response.Topics[0].Partitions[0].ErrorCode))
	})
}

func (w *work) cleaner(of at) (*cleaner.Cleaner, cleaner.Partition) {
	c := cleaner.New(cleaner.Options{
		Partitions: w.s.cleanable, Settings: func() cleaner.Settings { return cleaner.SettingsOf(w.s.settings.broker()) },
		Log: w.s.log, Now: time.Now,
	})
	return c, w.s.topics.partition(of.topic, of.partition).cleanable()
}

// retain runs retention over a partition.
func (w *work) retain(of at) {
	c, p := w.cleaner(of)
	w.do("retention", func(f *facts, _ bool) { f.begins(of, p.Stable(), false) }, func() (fact, error) {
		_, err := c.Retain(p)
		start := p.Log.Start()
		return func(f *facts, _ bool) { f.begins(of, start, true) }, err
	})
}

// compact runs one pass over a partition.
func (w *work) compact(of at) {
	c, p := w.cleaner(of)
	w.both("compaction", func(f *facts, _ bool) { f.part(of).compacted = true }, func() error {
		done, err := c.Compact(context.Background(), p)
		if err == nil && done.Why == cleaner.NotDue {
			err = fmt.Errorf("compaction of %v is not due", of)
		}
		return err
	})
}

func (w *work) checkpoint() {
	w.both("checkpoint", nothingNew, func() error { return w.s.checkpoint() })
}
