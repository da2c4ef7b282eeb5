package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"path"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"

	"ravenswood.dev/internal/broker/commitlog"
	"ravenswood.dev/internal/broker/txn"
)

const topicsDir = "topics"

// maxPartitions bounds the partitions of a topic: each is a few files and some memory.
const maxPartitions = 10_000

// maxTopicName is what Kafka allows: a name is a directory with something behind it there.
const maxTopicName = 249

// checkTopicName refuses what Kafka refuses.
func checkTopicName(name string) error {
	bad := func(why string) error {
		return &detailed{kerr.InvalidTopicException, fmt.Sprintf("topic name %q %s", clip(name), why)}
	}
	switch {
	case name == "":
		return bad("is empty")
	case name == "." || name == "..":
		return bad("is a directory")
	case len(name) > maxTopicName:
		return bad(fmt.Sprintf("is longer than %d characters", maxTopicName))
	}
	for i := range len(name) {
		if !topicByte(name[i]) {
			return bad("may only have letters, digits, '.', '_' and '-'")
		}
	}
	return nil
}

func topicByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
}

// clip keeps what a stranger sent from filling an answer or a log.
func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "..."
	}
	return s
}

// createTopic makes a topic: files first, then the entry that makes it exist. Files without an entry are removed at a start.
func (s *Server) createTopic(ctx context.Context, name string, partitions int32, set map[string]string) (*topic, error) {
	s.settings.mu.Lock()
	defer s.settings.mu.Unlock()
	if s.topics.named(name) != nil {
		return nil, &detailed{kerr.TopicAlreadyExists, fmt.Sprintf("topic %q exists already", name)}
	}
	if other := s.topics.alike(name); other != "" {
		return nil, &detailed{kerr.InvalidTopicException, fmt.Sprintf("topic %q differs from topic %q in dots and underscores only", name, other)}
	}
	if err := s.room(); err != nil {
		return nil, err
	}
	t := s.newTopic(name, newTopicID(), set)
	if err := t.open(0, partitions); err != nil {
		return nil, s.createFailed(t, err)
	}
	if err := s.syncDirs(t); err != nil {
		return nil, s.createFailed(t, err)
	}
	if err := s.change(ctx, entryTopic, t.entry(), func() { s.topics.put(t) }); err != nil {
		return nil, err
	}
	return t, nil
}

// createFailed takes back the files of partitions that were not made, and returns what the client is told.
func (s *Server) createFailed(t *topic, err error) error {
	if !s.filled(err) {
		s.log.Error("topic not created", "topic", t.name, "err", err)
	}
	for _, p := range t.all() {
		p.discard()
	}
	return kerr.KafkaStorageError
}

func newTopicID() topicID {
	var id topicID
	_, _ = rand.Read(id[:]) // never fails
	return id
}

func (s *Server) newTopic(name string, id topicID, set map[string]string) *topic {
	t := &topic{s: s, name: name, id: id}
	t.partitions.Store(&[]*partition{})
	if set == nil {
		set = map[string]string{}
	}
	t.configure(set, *s.settings.sources.Load())
	return t
}

func (t *topic) entry() topicEntry {
	return topicEntry{Name: t.name, ID: t.id, Partitions: int32(len(t.all())), Settings: maps.Clone(*t.settings.Load())}
}

// open opens the partitions from..to-1, several at a time, and adds them to the topic.
func (t *topic) open(from, to int32) error {
	opened := make([]*partition, to-from)
	failed := make([]error, to-from)
	var all sync.WaitGroup
	slots := make(chan struct{}, syncAtOnce)
	for i := range opened {
		slots <- struct{}{}
		all.Go(func() {
			opened[i], failed[i] = t.openPartition(from + int32(i))
			<-slots
		})
	}
	all.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	list := append(append([]*partition{}, t.all()...), opened...)
	t.partitions.Store(&list)
	return nil
}

// openPartition opens the log of one partition, which mends what a crash left in it. A log that is damaged is fenced, so
// that the others can work.
func (t *topic) openPartition(index int32) (*partition, error) {
	p := &partition{topic: t, index: index, producers: txn.NewProducers()}
	rules := t.effective.Load()
	log, recovery, err := commitlog.Open(t.s.fs, t.dir(index), commitlog.Options{
		SegmentBytes: rules.SegmentBytes, IndexBytes: rules.IndexBytes, Tracker: p.producers, NoSync: t.s.o.NoSync,
		NewTracker: func() commitlog.Tracker { return txn.NewProducers() },
	})
	if unreadable(err) {
		p.shut(err)
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", p, err)
	}
	p.log = log
	t.s.recovered(p, recovery)
	p.durable.Store(log.End())
	p.settle()
	return p, nil
}

// recovered says what had to be mended.
func (s *Server) recovered(p *partition, r commitlog.Recovery) {
	if r.Torn > 0 {
		s.log.Info("torn end cut off", "partition", p.String(), "file", r.TornFile, "bytes", r.Torn)
	}
	for _, name := range r.Rebuilt {
		s.log.Info("sidecar made anew", "partition", p.String(), "file", name)
	}
}

// syncDirs makes the directories of a topic survive a loss of power.
func (s *Server) syncDirs(t *topic) error {
	if s.o.NoSync {
		return nil
	}
	for _, dir := range []string{path.Join(topicsDir, t.name, t.id.String()), path.Join(topicsDir, t.name), topicsDir, "."} {
		if err := s.fs.SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// growTopic adds partitions.
func (s *Server) growTopic(ctx context.Context, t *topic, partitions int32) error {
	s.settings.mu.Lock()
	defer s.settings.mu.Unlock()
	before := int32(len(t.all()))
	switch {
	case partitions == before:
		return &detailed{kerr.InvalidPartitions, fmt.Sprintf("topic %q has %d partitions already", t.name, before)}
	case partitions < before:
		return &detailed{kerr.InvalidPartitions, fmt.Sprintf("topic %q has %d partitions; their number cannot go down to %d", t.name, before, partitions)}
	case partitions > maxPartitions:
		return &detailed{kerr.InvalidPartitions, fmt.Sprintf("%d partitions are more than %d", partitions, maxPartitions)}
	}
	grown := s.newTopic(t.name, t.id, *t.settings.Load())
	if err := grown.open(before, partitions); err != nil {
		return s.createFailed(grown, err)
	}
	for _, p := range grown.all() {
		p.topic = t
	}
	if err := s.syncDirs(t); err != nil {
		return s.createFailed(grown, err)
	}
	entry := t.entry()
	entry.Partitions = partitions
	return s.change(ctx, entryTopic, entry, func() {
		list := append(append([]*partition{}, t.all()...), grown.all()...)
		t.partitions.Store(&list)
	})
}

// deleteTopic makes a topic gone with one entry, and removes its files after it.
func (s *Server) deleteTopic(ctx context.Context, t *topic) error {
	s.settings.mu.Lock()
	if s.topics.named(t.name) != t {
		s.settings.mu.Unlock()
		return kerr.UnknownTopicOrPartition
	}
	err := s.change(ctx, entryTopicGone, goneEntry{ID: t.id}, func() { s.topics.remove(t) })
	s.settings.mu.Unlock()
	if err != nil {
		return err
	}
	s.txns.forget(t)
	s.groups.forget(t)
	for _, p := range t.all() {
		p.discard()
	}
	s.removeDirs(t.name, t.id.String())
	return nil
}

// discard removes the files of a partition that is gone and wakes whoever waits for it.
func (p *partition) discard() {
	p.mu.Lock()
	p.deleted = true
	err := p.remove()
	p.mu.Unlock()
	if err != nil {
		p.topic.s.log.Error("files of a removed partition not removed", "partition", p.String(), "err", err)
	}
	p.waiting.wake()
}

// removeDirs removes what is left of a topic; a directory that is not empty stays.
func (s *Server) removeDirs(name, id string) {
	root := path.Join(topicsDir, name, id)
	entries, err := s.fs.List(root)
	if err != nil {
		return
	}
	for _, e := range entries {
		_ = s.fs.Remove(path.Join(root, e.Name))
	}
	_ = s.fs.Remove(root)
	_ = s.fs.Remove(path.Join(topicsDir, name)) // not empty while another life of the topic is there
}
