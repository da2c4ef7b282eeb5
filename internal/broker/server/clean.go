package server

import (
	"context"
	"errors"
	"time"

	"ravenswood.dev/internal/broker/cleaner"
)

// clean removes what is past its retention and compacts, until ctx ends.
func (s *Server) clean(ctx context.Context) {
	c := cleaner.New(cleaner.Options{
		Partitions: s.cleanable,
		Settings:   func() cleaner.Settings { return cleaner.SettingsOf(s.settings.broker()) },
		Log:        s.log,
		Now:        time.Now,
	})
	c.Run(ctx)
}

// cleanable are the partitions that serve.
func (s *Server) cleanable() []cleaner.Partition {
	var all []cleaner.Partition
	for _, p := range s.topics.partitions() {
		if p.fenced() == nil {
			all = append(all, p.cleanable())
		}
	}
	return all
}

func (p *partition) cleanable() cleaner.Partition {
	return cleaner.Partition{
		Topic: p.topic.name, Index: p.index, Settings: *p.topic.effective.Load(),
		Log: p.log, Files: p.topic.s.fs, Dir: p.topic.dir(p.index),
		Stable: func() int64 { return p.limit(true) },
		LastBatch: func(producer int64) (int64, bool) {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.producers.LastOf(producer)
		},
		Change:   p.change,
		SetStart: func(offset int64) error { return p.topic.s.begin(p.topic.s.ctx, p, offset) },
	}
}

// change runs f as the only writer of the log.
func (p *partition) change(f func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.deleted || p.fenced() != nil {
		return cleaner.ErrGone
	}
	err := f()
	if err != nil && !errors.Is(err, cleaner.ErrGone) {
		_ = p.fail(err)
	}
	return err
}

// forgetProducers lets go of producers that were silent for long, now and then, until ctx ends.
func (s *Server) forgetProducers(ctx context.Context) {
	for sleep(ctx, producerCheck) {
		for _, p := range s.topics.partitions() {
			if p.fenced() == nil {
				p.mu.Lock()
				p.producers.Expire(time.Now(), s.settings.broker().ProducerIDExpiration)
				p.mu.Unlock()
			}
		}
	}
}

// producerCheck is how often that is, as Kafka's producer.id.expiration.check.interval.ms.
const producerCheck = 10 * time.Minute
