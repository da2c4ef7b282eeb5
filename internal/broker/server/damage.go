package server

import (
	"sync"

	"ravenswood.dev/internal/broker/commitlog"
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

// DiskFull tells whether produces are refused because there is no room.
func (s *Server) DiskFull() bool { return s.disk.full.Load() }

var _ error = (*commitlog.DamageError)(nil)
