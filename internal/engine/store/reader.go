package store

// Reader is a State as queries see it: what is committed. It may be used by any number of goroutines. Its views panic
// when they are written to.
type Reader struct {
	state *State
	views map[string]any
}

// Reader returns a reader of the State, for as long as it is open.
func (s *State) Reader() *Reader {
	r := &Reader{state: s, views: map[string]any{}}
	for _, t := range s.tables {
		r.views[t.spec.Name] = newView(t, &committed{t}, nil)
	}
	return r
}

// KeyValue returns the view of a store. Names and kinds that are not there panic, as for State; so do the other views.
func (r *Reader) KeyValue(name string) KeyValue { return viewOf[KeyValue](r.views, name) }

// Windows is KeyValue for window stores.
func (r *Reader) Windows(name string) Windows { return viewOf[Windows](r.views, name) }

// Sessions is KeyValue for session stores.
func (r *Reader) Sessions(name string) Sessions { return viewOf[Sessions](r.views, name) }

// Versions is KeyValue for versioned stores.
func (r *Reader) Versions(name string) Versions { return viewOf[Versions](r.views, name) }

// Specs lists the stores, by name.
func (r *Reader) Specs() []Spec { return r.state.Specs() }

// Err says why answers can't be trusted: the State has failed, or is closed.
func (r *Reader) Err() error {
	if err := r.state.Err(); err != nil {
		return err
	}
	_, err := r.state.usable()
	return err
}

// committed is a store as it is committed: the ground, under the layer that is on its way into it.
type committed struct{ table *table }

var _ reading = (*committed)(nil)

// enter begins a read, for which Close waits; leave must follow unless it says no.
func (s *State) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.readers++
	}
	return !s.closed
}

func (s *State) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readers--; s.readers == 0 {
		s.change.Broadcast()
	}
}

// get may find a layer that is in the ground by now: that is what was committed when it was asked.
func (c *committed) get(key []byte) (cell, bool) {
	s, t := c.table.state, c.table
	if !s.enter() {
		return cell{}, false
	}
	defer s.leave()
	s.view.RLock()
	published := t.published
	s.view.RUnlock()
	if it := published.get(key); it != nil {
		return cell{it.value, it.at}, it.mark == present
	}
	value, at, ok, err := t.ground.get(key, nil)
	if err != nil {
		c.fail(err)
	}
	return cell{value, at}, ok
}

// cursor takes layer and ground under one lock: a ground that has moved on under an older layer would show a mixture.
func (c *committed) cursor(end []byte) (cursor, error) {
	s, t := c.table.state, c.table
	if !s.enter() {
		return newMerged(end), nil
	}
	s.view.RLock()
	defer s.view.RUnlock()
	ground, err := t.ground.cursor(nil, end)
	if err != nil {
		s.leave()
		return nil, err
	}
	if t.published == nil {
		return &readerCursor{newMerged(end, ground), c}, nil
	}
	return &readerCursor{newMerged(end, newLayerCursor(t.published, false), ground), c}, nil
}

// readerCursor is a read that Close waits for.
type readerCursor struct {
	*merged
	of *committed
}

func (c *readerCursor) close() error {
	defer c.of.table.state.leave()
	return c.merged.close()
}

func (c *committed) horizon() int64 {
	s := c.table.state
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.table.horizonAt(s.observedGround)
}

func (c *committed) fail(err error) { c.table.fail(err) }
