package server

import (
	"sync"
	"sync/atomic"

	"ravenswood.dev/internal/broker/config"
)

// settings are those of the broker. They are replaced as a whole, so that readers need no lock.
type settings struct {
	mu      sync.Mutex // one change of settings at a time, of topics' settings too
	sources atomic.Pointer[config.Sources]
	counted atomic.Pointer[config.Broker]
}

func (s *settings) set(sources config.Sources) {
	counted := sources.Broker()
	s.sources.Store(&sources)
	s.counted.Store(&counted)
}

// broker is what counts now.
func (s *settings) broker() config.Broker { return *s.counted.Load() }

// configure puts changed settings of the broker in force, for the topics that have none of their own too.
func (s *Server) configure(sources config.Sources) {
	s.settings.set(sources)
	for _, t := range s.topics.sorted() {
		t.configure(*t.settings.Load(), sources)
	}
}
