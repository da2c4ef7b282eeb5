package engine

import (
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/tables"
)

// standbys keep copies of other processes' stores warm, by reading their changelogs as they are committed.
type standbys struct {
	engine *Engine
}

func newStandbys(e *Engine) *standbys { return &standbys{engine: e} }

// set is told what a worker of this process keeps copies of; what it kept before and does not any more is given back.
func (s *standbys) set(worker int, copies map[unitID]bool) {}

// lags says how far behind the copies are.
func (s *standbys) lags() map[kafka.Task]int64 { return make(map[kafka.Task]int64) }

// stop ends the copying of a task's stores and gives its State back.
func (s *standbys) stop(id unitID) {}

// look gives the copy of a task's stores, nil if there is none here.
func (s *standbys) look(id unitID) (*store.State, *tables.Staleness) { return nil, nil }
