package engine

import (
	"maps"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/tables"
)

// shares tells the group how its members share the stages with state; nil if there are none.
func (s *session) shares() *kafka.Tasks {
	e := s.w.engine
	t := &kafka.Tasks{Standbys: s.plan.Standbys, Host: e.env.Host, Process: e.env.ID, Lags: e.lags, OnTasks: s.onTasks}
	for i := range s.plan.Stages {
		st := &s.plan.Stages[i]
		if !st.Stateful {
			continue
		}
		stage := kafka.Stage{Name: st.Name}
		for _, in := range st.Inputs {
			stage.Topics = append(stage.Topics, s.plan.Inputs[in].Topic)
		}
		t.Stages = append(t.Stages, stage)
	}
	if len(t.Stages) == 0 {
		return nil
	}
	return t
}

// onTasks is told what the group has decided.
func (s *session) onTasks(a kafka.Assignment) {
	e := s.w.engine
	copies := make(map[unitID]bool)
	for _, list := range [][]kafka.Task{a.Standby, a.WarmUp} {
		for _, t := range list {
			if id, ok := e.unitNamed(t); ok {
				copies[id] = true
			}
		}
	}
	e.standbys.set(s.w.number, copies)
	e.board.post(a.Members, e.env.ID)
	s.joined.Store(true) // Assigned has returned, so that the tasks are among what is published
}

// unitNamed finds the unit of a task by the name of its stage.
func (e *Engine) unitNamed(t kafka.Task) (unitID, bool) {
	for i := range e.plan.Stages {
		if e.plan.Stages[i].Name == t.Stage && e.plan.Stages[i].Stateful {
			return unitID{i, t.Partition}, true
		}
	}
	return unitID{}, false
}

func (e *Engine) taskOf(id unitID) kafka.Task {
	return kafka.Task{Stage: e.plan.Stages[id.stage].Name, Partition: id.n}
}

// lags says how far behind the stores are that this process has.
func (e *Engine) lags() map[kafka.Task]int64 {
	lags := make(map[kafka.Task]int64)
	for id, lag := range e.keeper.lags() {
		lags[e.taskOf(id)] = lag
	}
	maps.Copy(lags, e.standbys.lags())
	e.board.mu.Lock()
	defer e.board.mu.Unlock()
	for id := range e.board.running {
		lags[e.taskOf(id)] = 0
	}
	for id, p := range e.board.restores {
		if left := p.left(); left >= 0 {
			lags[e.taskOf(id)] = left
		}
	}
	return lags
}

// post puts who has what on the board; nobody knows it in a group that is too large for everybody to be told. A task that
// is being handed over has nobody who runs it, but counts: which partition a key is in depends on how many there are.
func (b *board) post(members []kafka.Peer, process string) {
	owners := make(map[string][]tables.Owner)
	at := func(t kafka.Task) *tables.Owner {
		list := owners[t.Stage]
		for int(t.Partition) >= len(list) {
			list = append(list, tables.Owner{})
		}
		owners[t.Stage] = list
		return &list[t.Partition]
	}
	for _, m := range members {
		instance := tables.Instance{ID: m.Process, Address: m.Host, Local: m.Process == process}
		for _, t := range m.Active {
			at(t).Active = instance
		}
		for _, t := range m.Standby {
			at(t).Standbys = append(at(t).Standbys, instance)
		}
		for _, t := range m.WarmUp {
			at(t)
		}
	}
	b.tell(func() { b.owners = owners })
}
