package server

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/broker/commitlog"
)

// maxFetchWait bounds how long an empty fetch waits, whatever the client asks for.
const maxFetchWait = 5 * time.Minute

// A fetch is one fetch request on its way to an answer.
type fetch struct {
	s         *Server
	r         *request
	req       *kmsg.FetchRequest
	session   *fetchSession
	wanted    []*wanted
	committed bool
	response  *kmsg.FetchResponse
	bytes     int  // of record batches read so far
	limit     int  // for all of them
	urgent    bool // an answer that must not wait: an error
}

// fetchRecords answers with whole batches, as soon as there are enough of them or the client's patience is over.
func fetchRecords(s *Server, _ context.Context, r *request) (answer, error) {
	req := r.body.(*kmsg.FetchRequest)
	f := &fetch{s: s, r: r, req: req, committed: req.IsolationLevel == 1}
	f.response = req.ResponseKind().(*kmsg.FetchResponse)
	session, list, err := s.sessions.resolve(req)
	if err != nil {
		f.response.ErrorCode = code(err)
		return now(f.response), nil
	}
	f.session, f.wanted = session, list
	return f.answer, nil
}

func (f *fetch) answer(ctx context.Context) kmsg.Response {
	signal := make(chan struct{}, 1)
	deadline := time.NewTimer(min(time.Duration(f.req.MaxWaitMillis)*time.Millisecond, maxFetchWait))
	defer deadline.Stop()
	f.watch(signal)
	defer f.unwatch(signal)
	for {
		f.read()
		if f.urgent || f.bytes >= int(f.req.MinBytes) || f.req.MaxWaitMillis <= 0 {
			return f.finish()
		}
		select {
		case <-signal:
			f.discard()
		case <-deadline.C:
			f.discard()
			f.read()
			return f.finish()
		case <-ctx.Done():
			return f.finish()
		}
	}
}

func (f *fetch) watch(signal chan struct{}) {
	for _, w := range f.wanted {
		w.err = nil
		if w.p = f.find(w); w.p != nil {
			w.p.waiting.add(signal)
		}
	}
}

func (f *fetch) unwatch(signal chan struct{}) {
	for _, w := range f.wanted {
		if w.p != nil {
			w.p.waiting.remove(signal)
		}
	}
}

// find returns the partition that is wanted, or nil with the error noted.
func (f *fetch) find(w *wanted) *partition {
	t := f.topic(w)
	if t == nil {
		return nil
	}
	p := t.partition(w.partition)
	if p == nil {
		w.err = kerr.UnknownTopicOrPartition
	}
	return p
}

func (f *fetch) topic(w *wanted) *topic {
	byID := f.r.version >= 13
	t := f.s.topics.named(w.topic)
	if byID {
		t = f.s.topics.withID(w.id)
	}
	name := w.topic
	if t != nil {
		name = t.name
	}
	switch {
	case t == nil && byID:
		w.err = kerr.UnknownTopicID
	case !f.s.allowed(f.r, acl.Topic(name), opRead):
		w.err = kerr.TopicAuthorizationFailed
		return nil
	case t == nil:
		w.err = kerr.UnknownTopicOrPartition
	}
	return t
}

// read fills in an answer for every partition that is wanted.
func (f *fetch) read() {
	f.bytes, f.urgent, f.limit = 0, false, f.maxBytes()
	for _, w := range f.wanted {
		w.answer = kmsg.NewFetchResponseTopicPartition()
		w.answer.Partition = w.partition
		if w.p == nil {
			f.refuse(w, w.err)
			continue
		}
		f.readPartition(w)
	}
}

func (f *fetch) refuse(w *wanted, err error) {
	w.answer.ErrorCode, w.answer.HighWatermark, w.answer.LastStableOffset, w.answer.LogStartOffset = code(err), -1, -1, -1
	f.urgent = true
}

func (f *fetch) readPartition(w *wanted) {
	p := w.p
	if err := f.position(w); err != nil {
		f.refuse(w, err)
		return
	}
	high, limit := p.durable.Load(), p.limit(f.committed)
	w.answer.HighWatermark, w.answer.LastStableOffset, w.answer.LogStartOffset = high, p.stable.Load(), p.log.Start()
	w.answer.RecordBatches = []byte{}
	if w.offset < limit {
		f.readLog(w, limit)
	}
}

// position says whether the offset that is asked for is one that this partition has or will have.
func (f *fetch) position(w *wanted) error {
	p := w.p
	if err := p.fenced(); err != nil {
		return err
	}
	if err := checkEpoch(w.epoch, f.s.epoch); err != nil {
		return err
	}
	if w.offset < p.log.Start() || w.offset > p.log.End() {
		return kerr.OffsetOutOfRange
	}
	return nil
}

// checkEpoch compares the leader epoch that a client knows with ours; -1 is a client that does not say.
func checkEpoch(theirs, ours int32) error {
	switch {
	case theirs >= 0 && theirs < ours:
		return kerr.FencedLeaderEpoch
	case theirs > ours:
		return kerr.UnknownLeaderEpoch
	}
	return nil
}

// readLog reads what the limits of the request leave room for; the first batch of an answer comes whatever its size.
func (f *fetch) readLog(w *wanted, limit int64) {
	room := min(int(w.maxBytes), f.limit-f.bytes)
	if room <= 0 && f.bytes > 0 {
		return
	}
	buffer := f.s.buffers.get(min(max(room, 0), fetchBuffer))
	got, err := w.p.log.Read(buffer, w.offset, max(room, 0), limit)
	if err != nil {
		f.s.buffers.put(buffer)
		f.refuse(w, f.readError(w.p, err))
		return
	}
	if f.bytes > 0 && len(got) > room { // only the first batch of an answer may be larger than asked for
		f.s.buffers.put(got)
		return
	}
	w.answer.RecordBatches = got
	f.bytes += len(got)
	if f.committed && len(got) > 0 {
		f.addAborted(w, got)
	}
}

func (f *fetch) readError(p *partition, err error) error {
	if _, gone := errors.AsType[*commitlog.RangeError](err); gone {
		return kerr.OffsetOutOfRange // removed by retention since we looked
	}
	return p.fail(err)
}

// maxBytes is the limit of the whole answer: what the client and the broker allow, and its quota at once.
func (f *fetch) maxBytes() int {
	limit := f.s.settings.broker().FetchBytesMax
	if f.req.MaxBytes > 0 {
		limit = min(limit, int(f.req.MaxBytes))
	}
	client := acl.Client{User: f.r.principal.Name(), ID: f.r.client, IP: f.r.conn.host}
	if units, limited := f.s.security.state.Quotas.MaxAtOnce(client, acl.Fetched); limited {
		limit = min(limit, int(max(units, 1)))
	}
	return limit
}

// addAborted tells a reader of committed records which of the transactions in this answer were given up.
func (f *fetch) addAborted(w *wanted, got []byte) {
	end, err := endOf(got)
	if err != nil {
		f.refuse(w, w.p.fail(err))
		return
	}
	list, err := w.p.log.Aborted(w.offset, end)
	if err != nil {
		f.refuse(w, w.p.fail(err))
		return
	}
	for _, a := range list {
		aborted := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
		aborted.ProducerID, aborted.FirstOffset = a.ProducerID, a.First
		w.answer.AbortedTransactions = append(w.answer.AbortedTransactions, aborted)
	}
}

// discard gives back what was read for an answer that is not sent.
func (f *fetch) discard() {
	for _, w := range f.wanted {
		f.s.buffers.put(w.answer.RecordBatches)
		w.answer.RecordBatches = nil
	}
}

// finish puts the answer together: of an incremental session, what has changed.
func (f *fetch) finish() kmsg.Response {
	f.response.SessionID = f.session.number()
	for _, w := range f.wanted {
		if f.req.SessionEpoch > 0 && w.unchanged() {
			f.s.buffers.put(w.answer.RecordBatches)
			continue
		}
		f.put(w)
	}
	f.session.done(f.wanted)
	f.s.counted(f.r.client, 0, f.bytes)
	f.response.ThrottleMillis = f.s.charge(f.r, acl.Fetched, f.bytes)
	return f.response
}

// put adds the answer for one partition; partitions of one topic that follow each other share an entry.
func (f *fetch) put(w *wanted) {
	n := len(f.response.Topics)
	if n == 0 || f.response.Topics[n-1].Topic != w.topic || f.response.Topics[n-1].TopicID != w.id {
		t := kmsg.NewFetchResponseTopic()
		t.Topic, t.TopicID = w.topic, w.id
		f.response.Topics = append(f.response.Topics, t)
		n++
	}
	t := &f.response.Topics[n-1]
	t.Partitions = append(t.Partitions, w.answer)
}
