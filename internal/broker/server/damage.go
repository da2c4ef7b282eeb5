package server

import (
	"errors"
	"path"
	"sync"
	"syscall"

	"ravenswood.dev/internal/broker/commitlog"
	"ravenswood.dev/internal/broker/txn"
)

// Damage is a partition that serves nobody because its files are not what was written to them.
type Damage struct {
	Topic     string
	Partition int32
	Err       error // a *commitlog.DamageError tells file and offset
}

// damageList is what is fenced.
type damageList struct {
	mu   sync.Mutex
	list []Damage // GUARDED_BY(mu)
}

// damaged says whether files are not what was written to them.
func damaged(err error) bool {
	_, bad := errors.AsType[*commitlog.DamageError](err)
	return bad
}

// unreadable says whether an error at a start is about the files of one partition, so that the others may serve.
func unreadable(err error) bool { return damaged(err) || errors.Is(err, syscall.EIO) }

// shut fences a partition whose log cannot be opened. What its files say of producers is not known.
func (p *partition) shut(err error) {
	p.producers = txn.NewProducers()
	p.fence.Store(&err)
	p.topic.s.damaged(p, err)
}

// remove removes the files. The caller holds mu.
func (p *partition) remove() error {
	if p.log != nil {
		return p.log.Remove()
	}
	s, dir := p.topic.s, p.topic.dir(p.index)
	entries, err := s.fs.List(dir)
	for _, e := range entries {
		err = errors.Join(err, s.fs.Remove(path.Join(dir, e.Name)))
	}
	return errors.Join(err, s.fs.Remove(dir))
}

// damaged notes a partition that was fenced just now.
func (s *Server) damaged(p *partition, err error) {
	s.log.Error("partition fenced: its files cannot be trusted; `raven doctor` says what to do", "partition", p.String(), "err", err)
	s.damage.mu.Lock()
	defer s.damage.mu.Unlock()
	s.damage.list = append(s.damage.list, Damage{Topic: p.topic.name, Partition: p.index, Err: err})
	p.waiting.wake()
}

// Damages lists the partitions that serve nobody.
func (s *Server) Damages() []Damage {
	s.damage.mu.Lock()
	defer s.damage.mu.Unlock()
	return append([]Damage(nil), s.damage.list...)
}

// JournalError is why nothing that has to be remembered is taken any more, nil if it is. Only a start can mend it.
func (s *Server) JournalError() error {
	if err := s.disk.journal.Load(); err != nil {
		return *err
	}
	return nil
}

// DiskFull tells whether produces are refused because there is no room.
func (s *Server) DiskFull() bool { return s.disk.full.Load() }
