package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"time"

	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/broker/batch"
	"ravenswood.dev/internal/broker/group"
	"ravenswood.dev/internal/broker/journal"
	"ravenswood.dev/internal/broker/txn"
)

const journalDir = "journal"

// A replay collects what the journal tells, before any log is open.
type replay struct {
	s      *Server
	topics map[topicID]topicEntry
	gone   map[topicID]bool // topics that were deleted since the last checkpoint
	starts map[topicID]map[int32]int64
	txns   []func(*txn.Coordinator) error // in the order of the journal
	groups map[string]group.Entry
	config settingsEntry
	epoch  epochEntry
	first  bool // nothing was ever written
}

// recover brings everything back to what was acknowledged:
//
//	journal ─▶ topics, settings, users ─▶ logs, each mended by itself ─▶ transactions: markers that are missing
//	        ─▶ checkpoint, so that this start's decisions are not made again
func (s *Server) recover(ctx context.Context) error {
	r := &replay{
		s: s, topics: map[topicID]topicEntry{}, gone: map[topicID]bool{}, starts: map[topicID]map[int32]int64{},
		groups: map[string]group.Entry{}, first: true,
	}
	if err := r.journal(); err != nil {
		return err
	}
	if err := r.open(); err != nil {
		return err
	}
	if err := r.transactions(); err != nil {
		return err
	}
	r.restoreGroups()
	if err := r.sweep(); err != nil {
		return err
	}
	if err := s.checkpoint(); err != nil {
		return fmt.Errorf("checkpoint the journal: %w", err)
	}
	if err := s.security.begin(ctx); err != nil {
		return err
	}
	return s.noteEpoch(false)
}

// journal reads all entries.
func (r *replay) journal() error {
	s := r.s
	j, err := journal.Open(s.fs, journalDir, journal.Options{NoSync: s.o.NoSync})
	if err != nil {
		return fmt.Errorf("open the journal: %w", err)
	}
	s.journal = &journalFile{j}
	recovery, err := j.Replay(r.entry)
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	if recovery.Cut > 0 {
		s.log.Info("torn end cut off", "file", recovery.File, "bytes", recovery.Cut)
	}
	s.epoch = r.epoch.Epoch
	if !r.first && !r.epoch.Clean {
		s.epoch++ // clients ask again where they are, since a log may have lost its unacknowledged end
	}
	return nil
}

// entry takes one entry of the journal.
func (r *replay) entry(kind, version uint16, payload []byte) error {
	if version != entryVersion {
		return fmt.Errorf("journal entry of kind %d has version %d: written by a newer version of raven", kind, version)
	}
	r.first = false
	switch kind {
	case entryTopic:
		return into(payload, func(e topicEntry) { r.topics[e.ID] = e })
	case entryTopicGone:
		return into(payload, r.topicGone)
	case entryStart:
		return into(payload, r.start)
	case entryProducers:
		return into(payload, func(e producersEntry) {
			r.txns = append(r.txns, func(c *txn.Coordinator) error { c.RestoreReserved(e.Next); return nil })
		})
	case entrySettings:
		return into(payload, func(e settingsEntry) { r.config = e })
	case entryTxn:
		return r.txn(payload)
	case entryDecided:
		return r.decided(payload)
	case entryGroup:
		return into(payload, r.group)
	case entryOffsets:
		return into(payload, r.s.groups.restore)
	case entrySecurity:
		var e acl.Entry
		if err := json.Unmarshal(payload, &e); err != nil {
			return err
		}
		return r.s.security.state.Apply(e)
	case entryEpoch:
		return into(payload, func(e epochEntry) { r.epoch = e })
	}
	return fmt.Errorf("journal entry of unknown kind %d: written by a newer version of raven", kind)
}

func into[E any](payload []byte, take func(E)) error {
	var e E
	if err := json.Unmarshal(payload, &e); err != nil {
		return err
	}
	take(e)
	return nil
}

func (r *replay) topicGone(e goneEntry) {
	name := r.topics[e.ID].Name
	r.txns = append(r.txns, func(c *txn.Coordinator) error { c.Forget(name); return nil })
	r.gone[e.ID] = true
	delete(r.topics, e.ID)
	delete(r.starts, e.ID)
	r.s.groups.forget(&topic{id: e.ID})
}

func (r *replay) start(e startEntry) {
	if r.starts[e.ID] == nil {
		r.starts[e.ID] = map[int32]int64{}
	}
	r.starts[e.ID][e.Partition] = e.Offset
}

func (r *replay) group(e group.Entry) {
	if e.Deleted() {
		delete(r.groups, e.Group)
		return
	}
	r.groups[e.Group] = e
}

func (r *replay) txn(payload []byte) error {
	e, err := txn.ParseEntry(payload)
	if err != nil {
		return err
	}
	r.txns = append(r.txns, func(c *txn.Coordinator) error { return c.Restore(e) })
	return nil
}

func (r *replay) decided(payload []byte) error {
	d, err := txn.ParseDecide(payload)
	if err != nil {
		return err
	}
	r.txns = append(r.txns, func(c *txn.Coordinator) error { return c.RestoreDecide(d) })
	if len(d.Groups) > 0 {
		r.s.groups.end(d.ProducerID, d.Commit)
	}
	return nil
}

// open opens the logs of all topics.
func (r *replay) open() error {
	s := r.s
	sources := *s.settings.sources.Load()
	sources.Node, sources.Cluster = r.config.Node, r.config.Cluster
	s.settings.set(sources)
	for id, e := range r.topics {
		t := s.newTopic(e.Name, id, e.Settings)
		if err := t.open(0, e.Partitions); err != nil {
			return err
		}
		for index, offset := range r.starts[id] {
			p := t.partition(index)
			switch {
			case p == nil:
			case p.log == nil:
				p.begins = offset
			case offset > p.log.Start():
				if err := p.log.SetStart(min(offset, p.log.End())); err != nil {
					return fmt.Errorf("open %s: %w", p, err)
				}
			}
		}
		s.topics.put(t)
	}
	return nil
}

// transactions brings the coordinator and the logs to agree, by writing the markers that are missing.
func (r *replay) transactions() error {
	s := r.s
	s.txns.begin()
	c := s.txns.c
	for _, restore := range r.txns {
		if err := restore(c); err != nil {
			return fmt.Errorf("read the journal: %w", err)
		}
	}
	for _, p := range s.topics.partitions() {
		if p.fenced() != nil {
			c.RestoreClosed(txn.TopicPartition{Topic: p.topic.name, Partition: p.index})
			continue
		}
		for _, open := range p.producers.Open() {
			c.RestoreOpen(txn.TopicPartition{Topic: p.topic.name, Partition: p.index}, open)
		}
	}
	r.pendingOffsets(c)
	for _, m := range c.Recover(time.Now()) {
		marked, err := s.mend(m)
		if err != nil {
			return err
		}
		if marked {
			c.Marked(m)
		}
	}
	return nil
}

// pendingOffsets tells the coordinator which groups wait for a transaction, and drops what nobody can decide about.
func (r *replay) pendingOffsets(c *txn.Coordinator) {
	gs := r.s.groups
	var drop []int64
	for name, p := range gs.offsets.Pending() {
		if !c.RestorePending(name, txn.Producer{ID: p.ID, Epoch: p.Epoch}, time.Now()) {
			drop = append(drop, p.ID)
		}
	}
	for _, id := range drop {
		gs.end(id, false)
	}
}

// mend writes one marker that a partition lacks, and says whether it is there now. One that cannot be written because the
// partition is fenced stays owed.
func (s *Server) mend(m txn.Missing) (bool, error) {
	p := s.topics.partition(m.Topic, m.Partition)
	if p == nil || p.fenced() != nil {
		return false, nil
	}
	marker := batch.Marker{ProducerID: m.ProducerID, ProducerEpoch: m.Epoch, CoordinatorEpoch: m.CoordinatorEpoch, Commit: m.Commit, Time: time.Now()}
	if err := p.mark(marker, m.First); err != nil {
		return false, fmt.Errorf("end a transaction in %s: %w", p, err)
	}
	s.log.Debug("transaction ended after a crash", "partition", p.String(), "transaction", m.ID, "commit", m.Commit)
	return true, p.sync()
}

func (r *replay) restoreGroups() {
	gs := r.s.groups
	for name, e := range r.groups {
		g, err := group.Restore(e, gs.options(), time.Now())
		if err != nil {
			r.s.log.Error("group begins anew", "group", name, "err", err)
			continue
		}
		gs.byName[name] = &oneGroup{g: g}
	}
}

// noteEpoch writes which epoch this is, and at the end that everything was closed in order.
func (s *Server) noteEpoch(clean bool) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if err := s.note(entryEpoch, epochEntry{Epoch: s.epoch, Clean: clean}); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	return s.journal.Sync()
}

// keepJournalShort begins the journal anew when it has grown.
func (s *Server) keepJournalShort(ctx context.Context) {
	for s.pause(time.Second) && ctx.Err() == nil {
		if s.journal.Bytes() < s.o.CheckpointBytes {
			continue
		}
		if err := s.checkpoint(); err != nil {
			s.refusedJournal(err)
		}
	}
}

// checkpoint replaces the journal by the state as it is. The logs are synced first, since the decisions go whose markers
// they hold: once before anybody has to wait, and again for the little that came since.
func (s *Server) checkpoint() error {
	if err := s.syncLogs(); err != nil {
		return err
	}
	s.gate.Lock()
	defer s.gate.Unlock()
	if err := s.syncLogs(); err != nil {
		return err
	}
	s.txns.settled()
	return s.journal.Checkpoint(s.snapshot)
}

// syncLogs syncs every log that can be; a fenced one is not written to.
func (s *Server) syncLogs() error {
	if s.o.NoSync {
		return nil
	}
	var all []error
	for _, p := range s.topics.partitions() {
		if p.fenced() == nil {
			if _, err := p.log.Sync(); err != nil {
				all = append(all, fmt.Errorf("sync %s: %w", p, err))
			}
		}
	}
	return errors.Join(all...)
}

// snapshot adds the whole state. The caller holds gate.
func (s *Server) snapshot(add journal.Add) error {
	put := func(kind uint16, v any) error {
		payload, err := json.Marshal(v)
		if err != nil {
			return err
		}
		return add(kind, entryVersion, payload)
	}
	sources := s.settings.sources.Load()
	if err := put(entryEpoch, epochEntry{Epoch: s.epoch}); err != nil {
		return err
	}
	if err := put(entrySettings, settingsEntry{Node: sources.Node, Cluster: sources.Cluster}); err != nil {
		return err
	}
	if err := s.snapshotTopics(put); err != nil {
		return err
	}
	for _, e := range s.security.state.Snapshot() {
		if err := put(entrySecurity, e); err != nil {
			return err
		}
	}
	if err := s.groups.snapshot(put); err != nil {
		return err
	}
	return s.txns.snapshot(put)
}

func (s *Server) snapshotTopics(put func(uint16, any) error) error {
	for _, t := range s.topics.sorted() {
		if err := put(entryTopic, t.entry()); err != nil {
			return err
		}
		for _, p := range t.all() {
			start := p.begins
			if p.log != nil {
				start = p.log.Start()
			}
			if start == 0 {
				continue
			}
			if err := put(entryStart, startEntry{ID: t.id, Partition: p.index, Offset: start}); err != nil {
				return err
			}
		}
	}
	return nil
}

// snapshot adds offsets and members. The caller holds gate, so nothing changes but by heartbeats.
func (gs *groups) snapshot(put func(uint16, any) error) error {
	gs.offsetsMu.Lock()
	defer gs.offsetsMu.Unlock()
	if err := gs.offsets.Snapshot(func(e group.OffsetsEntry) error { return put(entryOffsets, e) }); err != nil {
		return err
	}
	gs.mu.Lock()
	defer gs.mu.Unlock()
	for _, g := range gs.byName {
		if e, ok := g.g.Saved(); ok {
			if err := put(entryGroup, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// snapshot adds transactional ids and the decisions whose markers may be missing.
func (t *transactions) snapshot(put func(uint16, any) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	reserved, entries, decisions := t.c.Checkpoint()
	if err := put(entryProducers, producersEntry{Next: reserved}); err != nil {
		return err
	}
	for _, e := range entries {
		if err := put(entryTxn, e); err != nil {
			return err
		}
	}
	for _, d := range decisions {
		if err := put(entryDecided, d); err != nil {
			return err
		}
	}
	return nil
}

// dirOf is where the files of a topic's partitions are.
func dirOf(name string, id topicID) string { return path.Join(topicsDir, name, id.String()) }
