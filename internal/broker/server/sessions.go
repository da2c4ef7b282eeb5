package server

import (
	"math/rand/v2"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxSessions bounds the fetch sessions that are remembered, and maxSessionPartitions the partitions of one. A client
// that gets no session sends its whole list every time, which is only slower.
const (
	maxSessions          = 1000
	maxSessionPartitions = 10_000
)

// wanted is one partition that a fetch asks for.
type wanted struct {
	topic     string
	id        topicID
	partition int32
	offset    int64
	epoch     int32
	maxBytes  int32

	p      *partition
	err    error
	answer kmsg.FetchResponseTopicPartition
	sent   watermarks // what the client of a session knows
}

type watermarks struct{ high, stable, start int64 }

type wantedKey struct {
	topic     string
	id        topicID
	partition int32
}

func (w *wanted) key() wantedKey { return wantedKey{w.topic, w.id, w.partition} }

// A fetchSession remembers what a client wants, so that its next requests only tell what changed (KIP-227).
type fetchSession struct {
	mu    sync.Mutex // a client has one fetch of a session under way; a hostile one may have more
	id    int32
	epoch int32     // of the next request
	list  []*wanted // in the order in which they are served
}

// A sessionCache holds the sessions of all clients. The one that was used longest ago makes room.
type sessionCache struct {
	mu   sync.Mutex
	byID map[int32]*fetchSession // GUARDED_BY(mu)
	used []int32                 // GUARDED_BY(mu); least recently first
}

func newSessionCache() *sessionCache { return &sessionCache{byID: map[int32]*fetchSession{}} }

// resolve works out what a request wants: its own list, or that of its session with the changes it brings.
func (c *sessionCache) resolve(req *kmsg.FetchRequest) (*fetchSession, []*wanted, error) {
	if req.Version < 7 || req.SessionEpoch == -1 {
		c.forget(req.SessionID)
		return nil, listOf(req), nil
	}
	if req.SessionEpoch == 0 {
		c.forget(req.SessionID)
		list := listOf(req)
		return c.open(list), list, nil
	}
	return c.goOn(req)
}

// goOn continues a session.
func (c *sessionCache) goOn(req *kmsg.FetchRequest) (*fetchSession, []*wanted, error) {
	session := c.get(req.SessionID)
	if session == nil {
		return nil, nil, kerr.FetchSessionIDNotFound
	}
	session.mu.Lock()
	defer session.mu.Unlock()
	if req.SessionEpoch != session.epoch {
		return nil, nil, kerr.InvalidFetchSessionEpoch
	}
	session.epoch = nextEpoch(session.epoch)
	session.change(req)
	// A copy: an answer under way fills in its own, and what it learned is put back by done.
	list := make([]*wanted, len(session.list))
	for i, w := range session.list {
		copied := *w
		list[i] = &copied
	}
	return session, list, nil
}

func nextEpoch(e int32) int32 {
	if e == 1<<31-1 {
		return 1
	}
	return e + 1
}

func (c *sessionCache) get(id int32) *fetchSession {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.byID[id]
	if s != nil {
		c.touch(id)
	}
	return s
}

// touch moves an id to the end of the list of used ones.
func (c *sessionCache) touch(id int32) {
	for i, u := range c.used {
		if u == id {
			copy(c.used[i:], c.used[i+1:])
			c.used[len(c.used)-1] = id
			return
		}
	}
}

func (c *sessionCache) forget(id int32) {
	if id == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(id)
}

func (c *sessionCache) drop(id int32) {
	delete(c.byID, id)
	for i, u := range c.used {
		if u == id {
			c.used = append(c.used[:i], c.used[i+1:]...)
			return
		}
	}
}

// open begins a session, or returns nil if the list is too long to remember.
func (c *sessionCache) open(list []*wanted) *fetchSession {
	if len(list) > maxSessionPartitions {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.byID) >= maxSessions {
		c.drop(c.used[0])
	}
	s := &fetchSession{id: c.newID(), epoch: 1}
	s.list = append(s.list, list...)
	c.byID[s.id] = s
	c.used = append(c.used, s.id)
	return s
}

func (c *sessionCache) newID() int32 {
	for {
		id := rand.Int32N(1<<31-2) + 1
		if c.byID[id] == nil {
			return id
		}
	}
}

// change applies what an incremental request tells: partitions that are new or changed, and those to be left out.
func (s *fetchSession) change(req *kmsg.FetchRequest) {
	at := make(map[wantedKey]int, len(s.list))
	for i, w := range s.list {
		at[w.key()] = i
	}
	for _, w := range listOf(req) {
		i, known := at[w.key()]
		switch {
		case known:
			w.sent = s.list[i].sent
			s.list[i] = w
		case len(s.list) < maxSessionPartitions:
			at[w.key()] = len(s.list)
			s.list = append(s.list, w)
		}
	}
	if len(req.ForgottenTopics) == 0 {
		return
	}
	gone := map[wantedKey]bool{}
	for _, t := range req.ForgottenTopics {
		for _, p := range t.Partitions {
			gone[wantedKey{t.Topic, t.TopicID, p}] = true
		}
	}
	kept := s.list[:0]
	for _, w := range s.list {
		if !gone[w.key()] {
			kept = append(kept, w)
		}
	}
	s.list = kept
}

// number is what the client is told; zero is no session.
func (s *fetchSession) number() int32 {
	if s == nil {
		return 0
	}
	return s.id
}

// unchanged says whether an answer may leave a partition out, because nothing changed since the client was told.
func (w *wanted) unchanged() bool {
	return w.answer.ErrorCode == 0 && len(w.answer.RecordBatches) == 0 && w.sent == w.marks()
}

func (w *wanted) marks() watermarks {
	return watermarks{w.answer.HighWatermark, w.answer.LastStableOffset, w.answer.LogStartOffset}
}

// done notes what the client was told, and puts partitions that had records behind those that had none, so that a busy
// one does not keep the others waiting.
func (s *fetchSession) done(list []*wanted) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	told := make(map[wantedKey]*wanted, len(list))
	for _, w := range list {
		told[w.key()] = w
	}
	idle, busy := make([]*wanted, 0, len(s.list)), []*wanted(nil)
	for _, w := range s.list {
		t := told[w.key()]
		if t != nil {
			w.sent = t.marks()
		}
		if t != nil && len(t.answer.RecordBatches) > 0 {
			busy = append(busy, w)
			continue
		}
		idle = append(idle, w)
	}
	s.list = append(idle, busy...)
}

// listOf is the list that a request carries.
func listOf(req *kmsg.FetchRequest) []*wanted {
	var list []*wanted
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			w := &wanted{
				topic: t.Topic, id: t.TopicID, partition: p.Partition, offset: p.FetchOffset,
				epoch: p.CurrentLeaderEpoch, maxBytes: p.PartitionMaxBytes, sent: watermarks{-2, -2, -2},
			}
			list = append(list, w)
		}
	}
	return list
}
