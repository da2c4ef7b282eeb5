package kafkatest

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func sessionCases() []testCase {
	return []testCase{
		{"a session is given when it is asked for", sessionOpen},
		{"no session is given when none is wanted", sessionNone},
		{"a later fetch of a session names changes only", sessionIncremental},
		{"an answer of a session leaves out what has not changed", sessionUnchanged},
		{"a forgotten partition is not answered any more", sessionForget},
		{"a partition can be added to a session", sessionAdd},
		{"an offset can be moved in a session", sessionMove},
		{"a wrong epoch of a session is refused", sessionEpoch},
		{"an unknown session is refused", sessionUnknown},
		{"a session can be closed", sessionClose},
		{"an error of a partition is told in every answer", sessionError},
	}
}

// session is a fetch session of two partitions.
type session struct {
	t     *T
	topic string
	id    int32
	epoch int32
}

func (t *T) session() *session {
	t.Helper()
	s := &session{t: t, topic: t.topic(3)}
	t.produce(s.topic, 0, plain("a"))
	req := fetchRequest(s.topic, 0, 0)
	req.SessionEpoch = 0
	req.Topics[0].Partitions = append(req.Topics[0].Partitions, fetchPartition(1, 0))
	res := ask(t, req.RequestWith)
	t.ok("open session", res.ErrorCode)
	if res.SessionID == 0 {
		t.Fatalf("no session was given")
	}
	s.id = res.SessionID
	return s
}

// next fetches within the session; partitions are changes to it.
func (s *session) next(partitions ...kmsg.FetchRequestTopicPartition) *kmsg.FetchResponse {
	s.t.Helper()
	s.epoch++
	req := s.request()
	if len(partitions) > 0 {
		req.Topics = []kmsg.FetchRequestTopic{{Topic: s.topic, Partitions: partitions}}
	}
	return ask(s.t, req.RequestWith)
}

func (s *session) request() *kmsg.FetchRequest {
	req := fetchRequest(s.topic, 0, 0)
	req.SessionID, req.SessionEpoch, req.Topics = s.id, s.epoch, nil
	return req
}

// answered counts the batches of each partition that an answer names.
func answered(t *T, res *kmsg.FetchResponse) map[int32]int {
	t.Helper()
	t.ok("fetch", res.ErrorCode)
	found := map[int32]int{}
	for _, topic := range res.Topics {
		for _, p := range topic.Partitions {
			t.ok("fetch partition", p.ErrorCode)
			found[p.Partition] = len(split(p.RecordBatches))
		}
	}
	return found
}

func sessionOpen(t *T) { t.session() }

func sessionNone(t *T) {
	equal(t, "session", ask(t, fetchRequest(t.topic(1), 0, 0).RequestWith).SessionID, 0)
}

func sessionIncremental(t *T) {
	s := t.session()
	equal(t, "batches of partition 0", answered(t, s.next())[0], 1) // its offset was not moved
	equal(t, "batches of partition 0", answered(t, s.next())[0], 1)
}

func sessionUnchanged(t *T) {
	s := t.session()
	equal(t, "partitions", len(answered(t, s.next(fetchPartition(0, 1)))), 0)
	t.produce(s.topic, 1, plain("b"))
	found := answered(t, s.next())
	equal(t, "partitions", len(found), 1)
	equal(t, "batches of partition 1", found[1], 1)
}

func sessionForget(t *T) {
	s := t.session()
	s.epoch++
	req := s.request()
	req.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: s.topic, Partitions: []int32{0}}}
	equal(t, "partitions", len(answered(t, ask(t, req.RequestWith))), 0)
	t.produce(s.topic, 0, plain("b"))
	equal(t, "partitions", len(answered(t, s.next())), 0)
}

func sessionAdd(t *T) {
	s := t.session()
	t.produce(s.topic, 2, plain("c"))
	equal(t, "batches of partition 2", answered(t, s.next(fetchPartition(2, 0)))[2], 1)
	equal(t, "batches of partition 2", answered(t, s.next())[2], 1)
}

func sessionMove(t *T) {
	s := t.session()
	t.produce(s.topic, 0, plain("b"))
	res := s.next(fetchPartition(0, 1))
	equal(t, "first offset", split(onlyFetched(t, res).RecordBatches)[0].FirstOffset, 1)
}

func sessionEpoch(t *T) {
	s := t.session()
	s.epoch += 4
	t.want("fetch", s.next().ErrorCode, kerr.InvalidFetchSessionEpoch)
}

func sessionUnknown(t *T) {
	s := t.session()
	s.id ^= 0x1234567
	t.want("fetch", s.next().ErrorCode, kerr.FetchSessionIDNotFound)
}

func sessionClose(t *T) {
	s := t.session()
	s.epoch = -1
	t.ok("close session", ask(t, s.request().RequestWith).ErrorCode)
	s.epoch = 0
	t.want("fetch", s.next().ErrorCode, kerr.FetchSessionIDNotFound)
}

func sessionError(t *T) {
	s := t.session()
	bad := []kmsg.FetchRequestTopicPartition{fetchPartition(0, 1), fetchPartition(1, 77)}
	for range 2 {
		res := s.next(bad...)
		bad = nil
		t.want("fetch", onlyFetched(t, res).ErrorCode, kerr.OffsetOutOfRange)
	}
}
